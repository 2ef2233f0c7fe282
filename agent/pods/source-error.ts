import type { SourceError } from './target.ts';

/** One line for a log: `file:line:column: CODE: message`. */
export function sourceErrorText(error: SourceError): string {
  const position = [error.line, error.column].filter((n) => n !== undefined).map((n) => `:${n}`);
  return `${error.file}${position.join('')}: ${error.code}: ${error.message}`;
}
