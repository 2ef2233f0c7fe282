/** The vocabulary: what an SLO is after it was resolved. Nothing here does I/O or imports the rest of the project. */

export type SloMode = 'observe' | 'advisory' | 'enforce';

/** Where the budget came from; `config` is a rule of the standalone file, never in a pod's record. */
export type SloSource =
  | 'container'
  | 'pod'
  | `latencyslo/${string}`
  | 'namespace'
  | 'cluster'
  | 'default'
  | 'config';

/** One cut, for example `budget-ms:0.5>1`. */
export type Clamp =
  | { field: 'budget-ms' | 'importance'; from: number; to: number }
  /** `shed: "false"` where the namespace does not allow it. */
  | { field: 'shed'; from: false; to: true };

export interface Slo {
  budgetMs: number;
  importance: number;
  /** The pod's own ceiling; undefined means the node's mode. */
  mode?: SloMode;
  shed: boolean;
  source: SloSource;
  clamped: Clamp[];
}

/** A bad or unknown value: ignored, and told to the user once. */
export interface SloProblem {
  code:
    | 'SLO_E_BUDGET'
    | 'SLO_E_IMPORTANCE'
    | 'SLO_E_MODE'
    | 'SLO_E_SHED'
    | 'SLO_E_UNKNOWN_KEY'
    | 'SLO_E_UNKNOWN_CONTAINER'
    | 'SLO_E_INJECT'
    | 'SLO_E_CAP';
  key: string;
  /** As given, cut to a printable 64 characters. */
  value: string;
  message: string;
}

/** What one pod asks for. `pod` is undefined where it has no SLO: ordinary work, never a default budget. */
export interface Resolution {
  pod: Slo | undefined;
  /** Only containers whose SLO differs from the pod's. */
  containers: Map<string, Slo>;
  problems: SloProblem[];
}
