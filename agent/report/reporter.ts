/** Who tells others, outside of this node, how it fares. */
import type { RecorderCounts } from '../../kube/event-recorder.ts';
import type { NodeEvent } from '../node-events.ts';
import type { NodeMode } from '../node-mode.ts';
import type { Plan } from '../plan/plan.ts';
import type { TargetSnapshot } from '../pods/target.ts';

export interface NodeStatus {
  mode: NodeMode;
  /** Could it enforce, whether or not it was asked to. */
  canEnforce: boolean;
}

/** Each call is cheap: what takes longer is done later. */
export interface Reporter {
  onNodeEvent?(event: NodeEvent): void;
  /** Often, also when nothing changed. */
  onStatus?(status: NodeStatus): void;
  /** After each plan. @param snapshot of the pods that the API server knows. */
  onPlan?(plan: Plan, snapshot: TargetSnapshot | undefined, status: NodeStatus): void;
  stop(): Promise<void>;
  /** Of Events, where it sends any. */
  eventCounts?(): Readonly<RecorderCounts>;
}
