/** What the webhook reads of a pod that nobody has validated: any JSON may stand anywhere. */

export interface PodView {
  /** `absent` also where it is null: a patch has to create the map first. */
  annotations: Readonly<Record<string, unknown>> | 'absent';
  labels: Readonly<Record<string, unknown>>;
  /** Those that can take an environment variable, init containers first. */
  containers: readonly ContainerView[];
  /** Of containers and init containers. */
  containerNames: readonly string[];
  /** Whether the list of init containers is there to append to. */
  hasInitContainers: boolean;
  hostNetwork: boolean;
  restartsAlways: boolean;
  /** Every container has CPU and memory limits equal to its requests, as quality of service "Guaranteed" wants it. */
  isGuaranteed: boolean;
}

export type ContainerList = 'containers' | 'initContainers';

export interface ContainerView {
  list: ContainerList;
  /** In that list. */
  index: number;
  /** Names of the environment variables; `absent` where there is no list yet. */
  env: readonly string[] | 'absent';
}

/** @returns undefined where metadata, annotations or a container list are not what a pod can have */
export function viewPod(object: unknown): PodView | undefined {
  const metadata = objectOf(objectOf(object)?.metadata);
  const annotations = metadata?.annotations ?? undefined;
  if (metadata === undefined || (annotations !== undefined && objectOf(annotations) === undefined)) {
    return undefined;
  }
  const spec = objectOf(objectOf(object)?.spec) ?? {};
  const containers = spec.containers ?? [];
  const initContainers = spec.initContainers ?? [];
  if (!Array.isArray(containers) || !Array.isArray(initContainers)) {
    return undefined;
  }
  const all = [...initContainers, ...containers];
  return {
    annotations: objectOf(annotations) ?? 'absent',
    labels: objectOf(metadata.labels) ?? {},
    containers: [
      ...initContainers.map((container, index) => viewContainer('initContainers', container, index)),
      ...containers.map((container, index) => viewContainer('containers', container, index)),
    ].filter((view) => view !== undefined),
    containerNames: all.map(nameOf).filter((name) => name !== undefined),
    hasInitContainers: Array.isArray(spec.initContainers),
    hostNetwork: spec.hostNetwork === true,
    restartsAlways: (spec.restartPolicy ?? 'Always') === 'Always',
    isGuaranteed: all.length > 0 && all.every(isGuaranteed),
  };
}

function viewContainer(list: ContainerList, container: unknown, index: number): ContainerView | undefined {
  const env = objectOf(container)?.env ?? undefined;
  if (objectOf(container) === undefined || (env !== undefined && !Array.isArray(env))) {
    return undefined;
  }
  return { list, index, env: env?.map(nameOf).filter((name) => name !== undefined) ?? 'absent' };
}

/** Defaulting has run before admission, so a request that the user left out is there, equal to its limit. */
function isGuaranteed(container: unknown): boolean {
  const resources = objectOf(objectOf(container)?.resources);
  const [limits, requests] = [objectOf(resources?.limits), objectOf(resources?.requests)];
  return ['cpu', 'memory'].every(
    (name) => typeof limits?.[name] === 'string' && limits[name] === requests?.[name],
  );
}

function nameOf(item: unknown): string | undefined {
  const name = objectOf(item)?.name;
  return typeof name === 'string' ? name : undefined;
}

/** @returns the value where it is a JSON object */
export function objectOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
