/** Looking into JSON of which nothing is known yet, and the few fields that every object of the API has. */

export type JsonObject = Readonly<Record<string, unknown>>;

export const objectOf = (value: unknown): JsonObject | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;

export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** `<namespace>/<name>`, `<name>` for what belongs to no namespace; undefined: it has no name. */
export const keyOf = (object: JsonObject): string | undefined => {
  const metadata = objectOf(object.metadata);
  const name = textOf(metadata?.name);
  if (name === undefined || name === '') return undefined;
  const namespace = textOf(metadata?.namespace);
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
};

export const uidOf = (object: JsonObject): string | undefined => textOf(objectOf(object.metadata)?.uid);

/** An opaque version; empty where there is none. */
export const resourceVersionOf = (object: JsonObject): string =>
  textOf(objectOf(object.metadata)?.resourceVersion) ?? '';
