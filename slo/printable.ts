/** Text from outside, made fit for a log line, a terminal or an API warning. */

const UNPRINTABLE = /[^\x20-\x7e]/gu;

/**
 * @param value anything, also of the wrong type
 * @param maxLength characters of the answer at most
 * @returns printable ASCII; other characters as `\u{...}`, cut with `...`
 */
export function printable(value: unknown, maxLength = 64): string {
  // An escape is longer than its character, so no more than maxLength of them are ever needed.
  const text = textOf(value, maxLength).slice(0, maxLength + 1);
  const escaped = text.replace(UNPRINTABLE, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);
  return escaped.length > maxLength ? `${escaped.slice(0, maxLength - 3)}...` : escaped;
}

function textOf(value: unknown, maxLength: number): string {
  if (typeof value === 'string') {
    return value;
  }
  if (Array.isArray(value)) {
    return `[${value.length} items]`;
  }
  if (typeof value === 'object' && value !== null) {
    return `{${Object.keys(value).slice(0, maxLength).join(', ')}}`;
  }
  return String(value);
}
