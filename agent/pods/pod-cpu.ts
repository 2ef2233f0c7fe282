/**
 * The CPU that a pod asks for and may use, as kubelet computes it for the pod's cgroup (pkg/kubelet/cm, resource
 * helpers): pod-level resources where they are set, else containers and sidecars summed, or the largest init
 * container where that is more, plus overhead. A request that is missing is the limit.
 *
 * Where the status says what a container really has (1.33 and newer), that counts: a resize that the node defers or
 * cannot do must not claim what it asks for.
 */
import { printable } from '../../slo/printable.ts';
import { type JsonRecord, recordOf, recordsOf } from './json-view.ts';
import type { PodFault } from './pod-fault.ts';
import { parseMilli } from './quantity.ts';

export interface PodCpu {
  requestMilli: number;
  /** undefined: at least one container may use any amount. */
  limitMilli: number | undefined;
}

type Path = readonly (string | number)[];

export function podCpu(spec: JsonRecord, status: JsonRecord, faults: PodFault[]): PodCpu {
  const actual = actualResources(status);
  const ofContainer = (container: JsonRecord, path: Path): Cpu => {
    const wanted = cpuOf(container.resources, path, faults);
    const has = actual.get(container.name);
    return has === undefined ? wanted : { ...wanted, ...cpuOf(has, path, faults) };
  };
  const containers = recordsOf(spec.containers).map((c, i) =>
    ofContainer(c, ['spec', 'containers', i, 'resources']),
  );
  const inits = recordsOf(spec.initContainers).map((c, i) => ({
    ...ofContainer(c, ['spec', 'initContainers', i, 'resources']),
    isSidecar: c.restartPolicy === 'Always',
  }));
  const total = combine(containers, inits);
  const own = cpuOf(recordOf(status.resources) ?? spec.resources, ['spec', 'resources'], faults);
  const overhead = quantity(recordOf(spec.overhead)?.cpu, ['spec', 'overhead', 'cpu'], faults) ?? 0;
  const requestMilli = own.requestMilli ?? total.requestMilli;
  const limitMilli = own.limitMilli ?? total.limitMilli;
  return {
    requestMilli: requestMilli + overhead,
    limitMilli: limitMilli === undefined ? undefined : limitMilli + overhead,
  };
}

/** By container name; of a container that does not run yet there is none. */
function actualResources(status: JsonRecord): Map<unknown, JsonRecord> {
  const statuses = [...recordsOf(status.containerStatuses), ...recordsOf(status.initContainerStatuses)];
  const found = new Map<unknown, JsonRecord>();
  for (const { name, resources } of statuses) {
    const record = recordOf(resources);
    if (record?.requests !== undefined || record?.limits !== undefined) found.set(name, record);
  }
  return found;
}

interface Cpu {
  requestMilli: number | undefined;
  limitMilli: number | undefined;
}

function cpuOf(resources: unknown, path: Path, faults: PodFault[]): Cpu {
  const side = (name: 'requests' | 'limits'): number | undefined =>
    quantity(recordOf(recordOf(resources)?.[name])?.cpu, [...path, name, 'cpu'], faults);
  const limitMilli = side('limits');
  // A limit of 0 means none (kubelet: MilliCPUToQuota).
  return {
    requestMilli: side('requests') ?? limitMilli,
    limitMilli: limitMilli === 0 ? undefined : limitMilli,
  };
}

function quantity(value: unknown, path: Path, faults: PodFault[]): number | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  const milli = parseMilli(value);
  if (milli === undefined) {
    const message = `${path.join('.')}: "${printable(value, 32)}" is not a CPU quantity like 250m or 1.5; ignored`;
    faults.push({ code: 'SLO_E_QUANTITY', path, message });
  }
  return milli;
}

interface Sum extends Cpu {
  requestMilli: number;
}

/** Init containers run one after the other, each beside the sidecars that started before it. */
function combine(containers: readonly Cpu[], inits: readonly (Cpu & { isSidecar: boolean })[]): Sum {
  let sidecars: Sum = { requestMilli: 0, limitMilli: 0 };
  let peak: Sum = sidecars;
  for (const init of inits) {
    const beside = add(sidecars, init);
    sidecars = init.isSidecar ? beside : sidecars;
    peak = larger(peak, beside);
  }
  return larger(containers.reduce<Sum>(add, sidecars), peak);
}

function add(sum: Sum, cpu: Cpu): Sum {
  return {
    requestMilli: sum.requestMilli + (cpu.requestMilli ?? 0),
    limitMilli:
      sum.limitMilli === undefined || cpu.limitMilli === undefined
        ? undefined
        : sum.limitMilli + cpu.limitMilli,
  };
}

function larger(a: Sum, b: Sum): Sum {
  return {
    requestMilli: Math.max(a.requestMilli, b.requestMilli),
    limitMilli:
      a.limitMilli === undefined || b.limitMilli === undefined
        ? undefined
        : Math.max(a.limitMilli, b.limitMilli),
  };
}
