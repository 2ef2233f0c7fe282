/** Events about pods and about the Node, in the API server. */
import type { EventRecorder, RecorderCounts } from '../../kube/event-recorder.ts';
import { Coalescer } from '../coalesce.ts';
import type { NodeEvent } from '../node-events.ts';
import type { Plan } from '../plan/plan.ts';
import type { TargetSnapshot } from '../pods/target.ts';
import { FactMemory, podFacts } from './pod-facts.ts';
import type { NodeStatus, Reporter } from './reporter.ts';

/** Events are for people: a second later is early enough, and a plan runs twenty times a second. */
const GAP_MS = 1_000;

export class KubeEvents implements Reporter {
  readonly #recorder: EventRecorder;
  readonly #nodeName: string;
  readonly #memory = new FactMemory();
  readonly #coalescer = new Coalescer(() => this.#tell(), GAP_MS);
  #latest: { plan: Plan; snapshot: TargetSnapshot; status: NodeStatus } | undefined;

  constructor(recorder: EventRecorder, nodeName: string) {
    this.#recorder = recorder;
    this.#nodeName = nodeName;
  }

  onNodeEvent({ type, reason, message }: NodeEvent): void {
    // As kubelet does it: with the name as UID, so that `kubectl describe node` shows it.
    const node = { apiVersion: 'v1', kind: 'Node', name: this.#nodeName, namespace: '', uid: this.#nodeName };
    this.#recorder.record({ regarding: node, type, reason, action: 'Schedule', note: message });
  }

  onPlan(plan: Plan, snapshot: TargetSnapshot | undefined, status: NodeStatus): void {
    // Before the first session, and before the first list, everything that is old would look new later.
    if (snapshot === undefined || snapshot.isPartial === true || status.mode.mode === 'unsupported') return;
    this.#latest = { plan, snapshot, status };
    this.#coalescer.request(GAP_MS);
  }

  eventCounts(): Readonly<RecorderCounts> {
    return this.#recorder.counts;
  }

  async stop(): Promise<void> {
    this.#coalescer.stop();
    await this.#recorder.stop();
  }

  #tell(): void {
    if (this.#latest === undefined) return;
    const { plan, snapshot, status } = this.#latest;
    for (const { pod, type, reason, note } of this.#memory.news(podFacts(plan, snapshot, status))) {
      const regarding = { apiVersion: 'v1', kind: 'Pod', ...pod };
      this.#recorder.record({ regarding, type, reason, action: 'Resolve', note });
    }
  }
}
