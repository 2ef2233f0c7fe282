/**
 * Evaluates an admission policy's CEL as an API server does: match conditions, variables in their order, then
 * validations or JSON patches. The interpreter is a general one; what Kubernetes adds to it (JSONPatch objects,
 * jsonpatch.escapeKey) is declared here.
 */
import { type CelInput, CelScalar, celEnv, celFunc, isCelError, parse, plan } from '@bufbuild/cel';
import { strings } from '@bufbuild/cel/ext';
import { create, createFileRegistry, type DescFile, toJson } from '@bufbuild/protobuf';
import type { ReflectMessage } from '@bufbuild/protobuf/reflect';
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  file_google_protobuf_struct,
} from '@bufbuild/protobuf/wkt';

/** What no identifier may be: the reserved words of CEL's grammar, which the interpreter lets pass as a member's name. */
const RESERVED_WORDS =
  'as break const continue else false for function if import in let loop namespace null package return true var void while';

const checkName = (name: string): void => {
  if (RESERVED_WORDS.split(' ').includes(name)) throw new Error(`"${name}" is a reserved word`);
};

interface NamedExpression {
  name: string;
  expression: string;
}

export interface AdmissionPolicy {
  metadata: { name: string };
  spec: {
    matchConditions?: NamedExpression[];
    variables?: NamedExpression[];
    validations?: { expression: string; message?: string; messageExpression?: string }[];
    mutations?: { patchType: string; jsonPatch?: { expression: string } }[];
  };
}

export interface AdmissionInput {
  object: unknown;
  oldObject: unknown;
  namespaceObject: unknown;
}

export interface PatchOperation {
  op: string;
  path: string;
  value?: unknown;
}

const field = (name: string, number: number, typeName?: string) => ({
  name,
  number,
  jsonName: name,
  label: FieldDescriptorProto_Label.OPTIONAL,
  type: typeName === undefined ? FieldDescriptorProto_Type.STRING : FieldDescriptorProto_Type.MESSAGE,
  ...(typeName === undefined ? {} : { typeName }),
});

const JSON_PATCH_FILE = create(FileDescriptorProtoSchema, {
  name: 'json-patch.proto',
  syntax: 'proto3',
  dependency: [file_google_protobuf_struct.proto.name],
  messageType: [
    {
      name: 'JSONPatch',
      field: [
        field('op', 1),
        field('path', 2),
        field('from', 3),
        field('value', 4, '.google.protobuf.Value'),
      ],
    },
  ],
});

const known = (file: string): DescFile | undefined =>
  file === file_google_protobuf_struct.proto.name ? file_google_protobuf_struct : undefined;

const REGISTRY = createFileRegistry(JSON_PATCH_FILE, known);

const ENVIRONMENT = celEnv({
  registry: REGISTRY,
  funcs: [
    ...strings,
    celFunc('jsonpatch.escapeKey', [CelScalar.STRING], CelScalar.STRING, (key) =>
      key.replaceAll('~', '~0').replaceAll('/', '~1'),
    ),
  ],
});

const operationOf = (value: unknown): PatchOperation => {
  const { desc, message } = value as ReflectMessage;
  return toJson(desc, message, { registry: REGISTRY }) as unknown as PatchOperation;
};

type Bindings = Record<string, CelInput>;
type Evaluate = (bindings: Bindings) => unknown;

const compile = (expression: string): Evaluate => {
  const evaluate = plan(ENVIRONMENT, parse(expression)) as (bindings: Bindings) => unknown;
  return (bindings) => {
    const value = evaluate(bindings);
    if (isCelError(value)) throw new Error(`${value.message} in: ${expression}`);
    return value;
  };
};

/** As it comes over the wire. */
const wired = (input: AdmissionInput): Bindings => JSON.parse(JSON.stringify(input));

export class CompiledPolicy {
  readonly #conditions: Evaluate[];
  readonly #variables: { name: string; evaluate: Evaluate }[];
  readonly #validations: { message: string; evaluate: Evaluate; explain: Evaluate | undefined }[];
  readonly #patches: Evaluate[];

  constructor({ spec }: AdmissionPolicy) {
    const { matchConditions = [], variables = [], validations = [], mutations = [] } = spec;
    this.#conditions = matchConditions.map(({ expression }) => compile(expression));
    for (const { name } of variables) checkName(name);
    this.#variables = variables.map(({ name, expression }) => ({ name, evaluate: compile(expression) }));
    this.#validations = validations.map(({ expression, message = '', messageExpression }) => ({
      message,
      evaluate: compile(expression),
      explain: messageExpression === undefined ? undefined : compile(messageExpression),
    }));
    this.#patches = mutations.flatMap(({ jsonPatch }) =>
      jsonPatch === undefined ? [] : [compile(jsonPatch.expression)],
    );
  }

  matches(input: AdmissionInput): boolean {
    return this.#conditions.every((evaluate) => evaluate(wired(input)) === true);
  }

  /** @returns the messages of the validations that fail */
  problems(input: AdmissionInput): string[] {
    const bindings = this.#bind(input);
    return this.#validations
      .filter(({ evaluate }) => evaluate(bindings) !== true)
      .map(({ message, explain }) => (explain === undefined ? message : String(explain(bindings))));
  }

  /** @returns JSON Patch operations */
  patch(input: AdmissionInput): PatchOperation[] {
    const bindings = this.#bind(input);
    return this.#patches.flatMap((evaluate) =>
      [...(evaluate(bindings) as Iterable<unknown>)].map(operationOf),
    );
  }

  #bind(input: AdmissionInput): Bindings {
    const variables: Bindings = {};
    const bindings = { ...wired(input), variables };
    for (const { name, evaluate } of this.#variables) variables[name] = evaluate(bindings) as CelInput;
    return bindings;
  }
}
