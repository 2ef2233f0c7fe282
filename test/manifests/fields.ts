/**
 * Are all fields of an object such as Kubernetes knows? By client-node's models, which are generated from the API's own
 * description: an unknown field would be dropped by the API server without a word.
 */
import * as models from '@kubernetes/client-node';
import type { Manifest } from './rendered.ts';

interface Attribute {
  baseName: string;
  type: string;
}

interface Model {
  getAttributeTypeMap(): Attribute[];
}

const MODELS: ReadonlyMap<string, unknown> = new Map(Object.entries(models));

const isModel = (value: unknown): value is Model =>
  typeof value === 'function' && 'getAttributeTypeMap' in value;

const modelNamed = (name: string): Model | undefined => {
  const found = MODELS.get(name);
  return isModel(found) ? found : undefined;
};

/** `apps/v1` DaemonSet -> V1DaemonSet, `v1beta1` -> V1beta1...; undefined: not a kind of Kubernetes itself. */
const modelOf = ({ apiVersion, kind }: Manifest): Model | undefined => {
  const version = apiVersion.split('/').at(-1) ?? '';
  return modelNamed(`${version.charAt(0).toUpperCase()}${version.slice(1)}${kind}`);
};

export const isKnownKind = (object: Manifest): boolean => modelOf(object) !== undefined;

const PRIMITIVES: Readonly<Record<string, readonly string[]>> = {
  string: ['string'],
  number: ['number'],
  boolean: ['boolean'],
  IntOrString: ['string', 'number'],
  Date: ['string'],
};

/** @returns what is wrong, each with its path; empty: nothing */
export const fieldProblems = (object: Manifest): string[] => {
  const model = modelOf(object);
  return model === undefined
    ? [`no kind ${object.apiVersion} ${object.kind}`]
    : problemsIn(object, model, '');
};

const problemsIn = (value: unknown, model: Model, path: string): string[] => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${path}: not an object`];
  const attributes = new Map(model.getAttributeTypeMap().map((attribute) => [attribute.baseName, attribute]));
  return Object.entries(value).flatMap(([name, entry]) => {
    const attribute = attributes.get(name);
    return attribute === undefined
      ? [`${path}.${name}: no such field`]
      : typeProblems(entry, attribute.type, `${path}.${name}`);
  });
};

const typeProblems = (value: unknown, type: string, path: string): string[] => {
  const element = /^Array<(.*)>$/.exec(type)?.[1];
  if (element !== undefined) {
    return Array.isArray(value)
      ? value.flatMap((entry, index) => typeProblems(entry, element, `${path}[${index}]`))
      : [`${path}: not a list`];
  }
  const values = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1];
  if (values !== undefined) {
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.entries(value).flatMap(([name, entry]) => typeProblems(entry, values, `${path}.${name}`))
      : [`${path}: not an object`];
  }
  const primitive = PRIMITIVES[type];
  if (primitive !== undefined) return primitive.includes(typeof value) ? [] : [`${path}: not a ${type}`];
  const model = modelNamed(type);
  return model === undefined ? [] : problemsIn(value, model, path);
};
