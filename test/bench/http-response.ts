/** Just enough of HTTP/1.1 to time responses: status and length, no header map. */

export interface ParsedResponse {
  status: number;
  /** Bytes of the whole response, head and body. */
  bytes: number;
}

const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * The response at the start of `data`; undefined while it is not complete. A response without Content-Length
 * counts as having no body, which holds for the services that the load generator is for.
 */
export const parseResponse = (data: Buffer): ParsedResponse | undefined => {
  const headEnd = data.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const head = data.toString('latin1', 0, headEnd);
  const length = /\r\ncontent-length:[ \t]*(\d+)/i.exec(head);
  const bytes = headEnd + HEAD_END.length + Number(length?.[1] ?? 0);
  // "HTTP/1.1 200 OK"
  return data.length < bytes ? undefined : { status: Number(head.slice(9, 12)), bytes };
};
