/** The pods and namespaces of an API server as targets: each pod is read anew when it, or its namespace, changed. */
import { readCaps } from '../../slo/caps.ts';
import { type JsonRecord, recordOf, textOf } from './json-view.ts';
import { settleConflicts } from './pod-conflicts.ts';
import { type PodReading, readPod } from './pod-target.ts';
import { podReference, type SourceError, type TargetSnapshot } from './target.ts';

interface KnownPod {
  pod: JsonRecord;
  /** Of the pod: most changes (conditions, times) change nothing of what is kept. */
  text: string;
  namespace: string;
  reading: PodReading;
}

export class ApiPods {
  readonly #nodeName: string;
  readonly #pods = new Map<string, KnownPod>();
  readonly #namespaces = new Map<string, JsonRecord>();
  readonly #caps = new Map<string, number>();

  constructor(nodeName: string) {
    this.#nodeName = nodeName;
  }

  /** @returns whether the snapshot is another one now. */
  setPod(key: string, pod: JsonRecord): boolean {
    const text = JSON.stringify(pod);
    if (this.#pods.get(key)?.text === text) return false;
    return this.#read(key, pod, text);
  }

  deletePod(key: string): boolean {
    return this.#pods.delete(key);
  }

  /** @param annotations ours of the namespace; undefined: it is gone. */
  setNamespace(name: string, annotations: JsonRecord | undefined): boolean {
    if (JSON.stringify(this.#namespaces.get(name)) === JSON.stringify(annotations)) return false;
    if (annotations === undefined) this.#namespaces.delete(name);
    else this.#namespaces.set(name, annotations);
    const { maxReservationPercent } = readCaps(new Map(Object.entries(annotations ?? {})), []);
    let isNew = this.#caps.get(name) !== maxReservationPercent;
    if (maxReservationPercent === undefined) this.#caps.delete(name);
    else this.#caps.set(name, maxReservationPercent);
    for (const [key, { pod, text, namespace }] of this.#pods)
      if (namespace === name && this.#read(key, pod, text)) isNew = true;
    return isNew;
  }

  #read(key: string, pod: JsonRecord, text: string): boolean {
    const namespace = textOf(recordOf(pod.metadata)?.namespace) ?? '';
    const context = { nodeName: this.#nodeName, namespaceAnnotations: this.#namespaces.get(namespace) };
    const reading = readPod(pod, context);
    const known = this.#pods.get(key)?.reading;
    const isSame = known !== undefined && JSON.stringify(known) === JSON.stringify(reading);
    // The same object for the same pod: who compares it later need not look into it.
    this.#pods.set(key, { pod, text, namespace, reading: isSame ? known : reading });
    return !isSame;
  }

  snapshot(): TargetSnapshot {
    const errors: SourceError[] = [];
    const placed = [...this.#pods].flatMap(([key, { reading }]) => {
      const file = `pod ${key}`;
      const about = reading.target === undefined ? {} : { pod: podReference(reading.target) };
      errors.push(...reading.faults.map(({ code, message }) => ({ code, file, message, ...about })));
      return reading.target === undefined ? [] : [{ target: reading.target, file }];
    });
    const settled = settleConflicts(placed);
    return {
      targets: settled.pods.map(({ target }) => target),
      errors: [...errors, ...settled.errors],
      reservationCaps: new Map(this.#caps),
    };
  }
}
