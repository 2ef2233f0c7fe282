/**
 * How many values a JSON text holds, without parsing it: three bytes (`{},`) become an object of 56, and 3 MiB of them
 * more than the heap that a replica has.
 */

const [QUOTE, BACKSLASH, COMMA, BRACKET, BRACE] = [...'"\\,[{'].map((c) => c.charCodeAt(0));

/** @returns an upper bound that no valid text with so many values exceeds; stops counting beyond `max` */
export function countJsonValues(text: Uint8Array, max: number): number {
  let count = 1;
  let inString = false;
  for (let at = 0; at < text.length && count <= max; at += 1) {
    const byte = text[at];
    if (inString) {
      if (byte === BACKSLASH) {
        at += 1;
      } else if (byte === QUOTE) {
        inString = false;
      }
    } else if (byte === QUOTE) {
      inString = true;
    } else if (byte === COMMA || byte === BRACKET || byte === BRACE) {
      count += 1;
    }
  }
  return count;
}
