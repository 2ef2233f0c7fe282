/**
 * What the agent keeps of a pod and of a namespace: most of what the API server sends (managed fields, environment,
 * conditions) is read by nobody here.
 */
import { isOurKey, MIRROR_KEY, STATIC_HASH_KEY } from '../../slo/annotations.ts';
import { type JsonRecord, recordOf, recordsOf } from './json-view.ts';

const pick = (record: JsonRecord | undefined, ...fields: string[]): JsonRecord =>
  Object.fromEntries(
    fields.flatMap((field) => {
      const value = record?.[field];
      return value === undefined ? [] : [[field, value]];
    }),
  );

const picks = (list: unknown, ...fields: string[]): JsonRecord[] =>
  recordsOf(list).map((record) => pick(record, ...fields));

const isKept = (key: string): boolean => isOurKey(key) || key === MIRROR_KEY || key === STATIC_HASH_KEY;

/** Annotations that are no map stay what they are: the reader says so. */
const ourAnnotations = (annotations: unknown): unknown => {
  const record = recordOf(annotations);
  return record === undefined
    ? annotations
    : Object.fromEntries(Object.entries(record).filter(([key]) => isKept(key)));
};

const ownersOf = (metadata: JsonRecord | undefined): JsonRecord[] =>
  picks(metadata?.ownerReferences, 'apiVersion', 'kind', 'name', 'controller').filter(
    ({ kind }) => kind === 'Node',
  );

/** Of a v1 Pod, everything that readPod looks at. */
export const apiPod = (pod: JsonRecord): JsonRecord => {
  const metadata = recordOf(pod.metadata);
  const spec = recordOf(pod.spec);
  const status = recordOf(pod.status);
  return {
    metadata: {
      ...pick(metadata, 'name', 'namespace', 'uid'),
      annotations: ourAnnotations(metadata?.annotations),
      ownerReferences: ownersOf(metadata),
    },
    spec: {
      ...pick(spec, 'nodeName', 'hostNetwork', 'resources', 'overhead'),
      containers: picks(spec?.containers, 'name', 'resources'),
      initContainers: picks(spec?.initContainers, 'name', 'resources', 'restartPolicy'),
    },
    status: {
      ...pick(status, 'phase', 'podIP', 'podIPs', 'resources'),
      containerStatuses: picks(status?.containerStatuses, 'name', 'containerID', 'resources'),
      initContainerStatuses: picks(status?.initContainerStatuses, 'name', 'containerID', 'resources'),
      ephemeralContainerStatuses: picks(status?.ephemeralContainerStatuses, 'name', 'containerID'),
    },
  };
};

/** Of a v1 Namespace: our annotations, the others are nobody's business here. */
export const apiNamespace = (namespace: JsonRecord): JsonRecord => {
  const annotations = recordOf(recordOf(namespace.metadata)?.annotations) ?? {};
  return Object.fromEntries(Object.entries(annotations).filter(([key]) => isOurKey(key)));
};
