/** Which resources of the API server a part asks for: every path in its sources. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const project = join(import.meta.dirname, '../..');

/** A string or template that begins with /api/ or /apis/, in code (comments have `/api/...` in prose quotes). */
const PATH = /(?:'(\/apis?\/[^'\n]+)'|`(\/apis?\/[^`\n]+)`[,;)\n])/g;
const PLACEHOLDER = /\$\{[^}]*\}/g;

/** `/apis/apps/v1/namespaces/*\/deployments/*\/status` -> `apps/deployments/status`; the core group has no name. */
export const resourceOf = (path: string): string => {
  const parts = path.replace(PLACEHOLDER, '*').split('/').slice(1);
  const [group, below] = parts[0] === 'api' ? ['', parts.slice(2)] : [parts[1] ?? '', parts.slice(3)];
  const isNamespaced = below[0] === 'namespaces' && below.length > 2;
  const [resource = '', , subresource] = isNamespaced ? below.slice(2) : below;
  return [group, resource, ...(subresource === undefined ? [] : [subresource])].join('/');
};

const withoutComments = (source: string): string =>
  source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');

/** @param patterns of source files in the checkout; tests are left out */
export const resourcesIn = (...patterns: string[]): Set<string> => {
  const files = patterns.flatMap((pattern) => globSync(pattern, { cwd: project }));
  const sources = files
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => withoutComments(readFileSync(join(project, file), 'utf8')));
  return new Set(
    sources.flatMap((source) =>
      [...source.matchAll(PATH)].map(([, plain, template]) => resourceOf(plain ?? template ?? '')),
    ),
  );
};
