/** What the webhook reads of a pod that nobody has validated: any JSON may stand anywhere. */

export interface PodView {
  /** `absent` also where it is null: a patch has to create the map first. */
  annotations: Readonly<Record<string, unknown>> | 'absent';
  labels: Readonly<Record<string, unknown>>;
  containers: readonly ContainerView[];
  /** Of containers and init containers. */
  containerNames: readonly string[];
}

export interface ContainerView {
  /** In spec.containers. */
  index: number;
  /** Names of the environment variables; `absent` where there is no list yet. */
  env: readonly string[] | 'absent';
}

/** @returns undefined where metadata, annotations or a container list are not what a pod can have */
export function viewPod(object: unknown): PodView | undefined {
  const metadata = recordOf(recordOf(object)?.metadata);
  const annotations = metadata?.annotations ?? undefined;
  if (metadata === undefined || (annotations !== undefined && recordOf(annotations) === undefined)) {
    return undefined;
  }
  const spec = recordOf(recordOf(object)?.spec) ?? {};
  const containers = spec.containers ?? [];
  const initContainers = spec.initContainers ?? [];
  if (!Array.isArray(containers) || !Array.isArray(initContainers)) {
    return undefined;
  }
  const views = containers.map(viewContainer);
  return {
    annotations: recordOf(annotations) ?? 'absent',
    labels: recordOf(metadata.labels) ?? {},
    containers: views.filter((view) => view !== undefined),
    containerNames: [...containers, ...initContainers].map(nameOf).filter((name) => name !== undefined),
  };
}

function viewContainer(container: unknown, index: number): ContainerView | undefined {
  const env = recordOf(container)?.env ?? undefined;
  if (recordOf(container) === undefined || (env !== undefined && !Array.isArray(env))) {
    return undefined;
  }
  return { index, env: env?.map(nameOf).filter((name) => name !== undefined) ?? 'absent' };
}

function nameOf(item: unknown): string | undefined {
  const name = recordOf(item)?.name;
  return typeof name === 'string' ? name : undefined;
}

function recordOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
