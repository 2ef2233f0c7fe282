/** Events as events.k8s.io/v1 wants them, and what makes two of them the same. */
import type { JsonObject } from './json.ts';

export interface ObjectReference {
  apiVersion: string;
  kind: string;
  name: string;
  /** Empty: the object belongs to no namespace. */
  namespace: string;
  uid: string;
}

export interface EventNote {
  regarding: ObjectReference;
  type: 'Normal' | 'Warning';
  /** UpperCamelCase, why; at most 128 characters. */
  reason: string;
  /** UpperCamelCase, what was done; at most 128 characters. */
  action: string;
  /** For people; cut at 1,024 bytes. */
  note: string;
}

export interface Reporter {
  /** A qualified name, for example `scx-slo.io/agent`. */
  controller: string;
  /** Which of its instances: the node. */
  instance: string;
}

const NOTE_MAX_BYTES = 1024;
const NAME_MAX = 253;
const TEXT_MAX = 128;
/**
 * Of objects without a namespace. Most components use `default`, which old servers refuse for events.k8s.io (1.20.2:
 * "does not match event.namespace"); `kubectl describe node` looks into all of them.
 */
const CLUSTER_NAMESPACE = 'kube-system';

export const eventNamespace = ({ namespace }: ObjectReference): string =>
  namespace === '' ? CLUSTER_NAMESPACE : namespace;

export const eventKey = ({ regarding: { kind, uid }, type, reason, action, note }: EventNote): string =>
  JSON.stringify([kind, uid, type, reason, action, note]);

/** Cut between characters. */
const cutBytes = (text: string, maxBytes: number): string => {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return `${decoder.decode(Buffer.from(text).subarray(0, maxBytes - 3), { stream: true })}...`;
};

/** Go reads MicroTime with six digits only. */
export const microTime = (epochMs: number): string => new Date(epochMs).toISOString().replace(/Z$/, '000Z');

/** Unique enough: a name, then microseconds and a counter. */
export const eventName = ({ name }: ObjectReference, epochMs: number, count: number): string => {
  const tail = `.${Math.round(epochMs * 1000).toString(16)}${count.toString(16)}`;
  return name.slice(0, NAME_MAX - tail.length).replace(/[^a-z0-9]+$/, '') + tail;
};

export const eventObject = (
  note: EventNote,
  name: string,
  reporter: Reporter,
  epochMs: number,
): JsonObject => {
  const { apiVersion, kind, uid } = note.regarding;
  const { namespace } = note.regarding;
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name, namespace: eventNamespace(note.regarding) },
    eventTime: microTime(epochMs),
    type: note.type,
    reason: note.reason.slice(0, TEXT_MAX),
    action: note.action.slice(0, TEXT_MAX),
    note: cutBytes(note.note, NOTE_MAX_BYTES),
    regarding: {
      apiVersion,
      kind,
      name: note.regarding.name,
      uid,
      ...(namespace === '' ? {} : { namespace }),
    },
    reportingController: reporter.controller,
    reportingInstance: reporter.instance.slice(0, TEXT_MAX),
  };
};
