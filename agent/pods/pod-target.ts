/** From a pod object, of which nothing is certain, to a target. Pure: the same for manifests and an API server. */
import { isEffectiveKey } from '../../slo/annotations.ts';
import { readCaps } from '../../slo/caps.ts';
import { printable } from '../../slo/printable.ts';
import { recordDifferences } from '../../slo/record.ts';
import { resolve } from '../../slo/resolve.ts';
import type { Resolution, Slo } from '../../slo/slo.ts';
import { type JsonRecord, recordOf, recordsOf, textOf } from './json-view.ts';
import { podCpu } from './pod-cpu.ts';
import type { PodFault } from './pod-fault.ts';
import { podIdentity } from './pod-identity.ts';
import { normaliseIp } from './pod-ip.ts';
import type { PodContainer, PodTarget } from './target.ts';

export interface PodReading {
  /** undefined: the pod cannot be used, or has ended. */
  target: PodTarget | undefined;
  faults: PodFault[];
}

const CONTAINER_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export interface PodContext {
  /** The node of this agent; without it the node that the pod names. */
  nodeName?: string | undefined;
  /** Defaults and caps of the pod's namespace; undefined: none are known, the built-in ones hold. */
  namespaceAnnotations?: Readonly<Record<string, unknown>> | undefined;
}

export function readPod(pod: JsonRecord, context: PodContext = {}): PodReading {
  const identity = podIdentity(pod, context.nodeName);
  if ('code' in identity) {
    return { target: undefined, faults: [identity] };
  }
  const status = recordOf(pod.status) ?? {};
  if (status.phase === 'Succeeded' || status.phase === 'Failed') {
    return { target: undefined, faults: [] };
  }
  const spec = recordOf(pod.spec) ?? {};
  const faults: PodFault[] = [];
  const annotations = readAnnotations(recordOf(pod.metadata)?.annotations, faults);
  const names = [...recordsOf(spec.containers), ...recordsOf(spec.initContainers)]
    .map((container) => textOf(container.name))
    .filter((name) => name !== undefined);
  const { namespaceAnnotations } = context;
  const resolution = resolve({ annotations, containerNames: names, namespaceAnnotations });
  faults.push(...annotationFaults(annotations, resolution));
  const { requestMilli, limitMilli } = podCpu(spec, status, faults);
  const target: PodTarget = {
    kind: 'pod',
    ...identity,
    slo: resolution.pod,
    containers: [
      ...containersOf(names, resolution.containers, status, faults),
      ...ephemeralContainers(status, faults),
    ],
    podIps: spec.hostNetwork === true ? [] : podIps(status, faults),
    cpuRequestMilli: requestMilli,
    ...(limitMilli === undefined ? {} : { cpuLimitMilli: limitMilli }),
    ...(trustsReports(namespaceAnnotations) ? { trustsReports: true } : {}),
    problems: resolution.problems,
  };
  return { target, faults };
}

/** What is wrong with the namespace's annotations is told with the pod's SLO. */
const trustsReports = (namespaceAnnotations: PodContext['namespaceAnnotations']): boolean =>
  readCaps(new Map(Object.entries(namespaceAnnotations ?? {})), []).trustReports;

function readAnnotations(value: unknown, faults: PodFault[]): JsonRecord {
  const annotations = recordOf(value);
  if (annotations === undefined && value !== undefined && value !== null) {
    const message = 'metadata.annotations is not a map; ignored';
    faults.push({ code: 'SLO_E_POD', path: ['metadata', 'annotations'], message });
  }
  return annotations ?? {};
}

/** Bad values, and where the webhook's record is not our own answer. A pod without a record missed the webhook. */
function annotationFaults(annotations: JsonRecord, resolution: Resolution): PodFault[] {
  const at = (key: string): PodFault['path'] => ['metadata', 'annotations', key];
  const bad = resolution.problems.map(({ code, key, message }) => ({ code, message, path: at(key) }));
  if (!Object.keys(annotations).some(isEffectiveKey)) {
    return bad;
  }
  const show = (value: unknown): string => (value === undefined ? 'nothing' : `"${printable(value, 32)}"`);
  const drift = recordDifferences(annotations, resolution).map(({ key, recorded, resolved }) => ({
    code: 'SLO_E_DRIFT',
    path: at(key),
    message: `${printable(key, 80)}: the record says ${show(recorded)}, the annotations resolve to ${show(resolved)}; the latter holds`,
  }));
  return [...bad, ...drift];
}

function containersOf(
  names: readonly string[],
  slos: ReadonlyMap<string, Slo>,
  status: JsonRecord,
  faults: PodFault[],
): PodContainer[] {
  const ids = new Map([
    ...containerIds(status, 'containerStatuses', faults),
    ...containerIds(status, 'initContainerStatuses', faults),
  ]);
  return names.map((name) => {
    const [id, slo] = [ids.get(name), slos.get(name)];
    return { name, ...(id === undefined ? {} : { id }), ...(slo === undefined ? {} : { slo }) };
  });
}

/** For `kubectl debug`: they have the pod's SLO, an override cannot name them. */
function ephemeralContainers(status: JsonRecord, faults: PodFault[]): PodContainer[] {
  return containerIds(status, 'ephemeralContainerStatuses', faults).map(([name, id]) => ({ name, id }));
}

function containerIds(
  status: JsonRecord,
  list: 'containerStatuses' | 'initContainerStatuses' | 'ephemeralContainerStatuses',
  faults: PodFault[],
): [string, string][] {
  return recordsOf(status[list]).flatMap(({ name, containerID }, index): [string, string][] => {
    if (typeof name !== 'string' || typeof containerID !== 'string' || containerID === '') {
      return [];
    }
    // `containerd://<id>`, `cri-o://<id>`; the scheme names the runtime.
    const id = containerID.replace(/^[a-z0-9-]+:\/\//, '');
    if (!CONTAINER_ID.test(id)) {
      const message = `container ${printable(name, 64)}: "${printable(containerID, 32)}" is not a container id; ignored`;
      faults.push({ code: 'SLO_E_POD', path: ['status', list, index, 'containerID'], message });
      return [];
    }
    return [[name, id]];
  });
}

function podIps(status: JsonRecord, faults: PodFault[]): string[] {
  const listed = recordsOf(status.podIPs).map((entry) => entry.ip);
  const addresses = listed.length === 0 && status.podIP !== undefined ? [status.podIP] : listed;
  const ips = addresses.map(normaliseIp);
  const bad = ips.indexOf(undefined);
  if (bad !== -1) {
    const message = `status.podIPs: "${printable(addresses[bad], 48)}" is not an address; ignored`;
    faults.push({ code: 'SLO_E_POD', path: ['status', 'podIPs', bad], message });
  }
  return [...new Set(ips.filter((ip) => ip !== undefined))];
}
