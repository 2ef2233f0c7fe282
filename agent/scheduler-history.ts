/** What became of our scheduler so far: events for people, ends with their dumps, and how many of each kind. */
import type { Logger } from 'pino';
import type { ExitRecord } from './exit-record.ts';
import { ExitStore } from './exit-store.ts';
import { EXIT_CLASSES, type ExitClass } from './kernel/exit-kind.ts';
import { type NodeEvent, NodeEventLog, type NodeEventSink } from './node-events.ts';

const logSink =
  (log: Logger) =>
  ({ type, reason, message, facts }: NodeEvent): void => {
    const fields = { event: reason, ...facts };
    if (type === 'Warning') log.warn(fields, message);
    else log.info(fields, message);
  };

export class SchedulerHistory {
  readonly events: NodeEventLog;
  readonly exits: ExitStore;
  readonly #counts = new Map<ExitClass, number>(EXIT_CLASSES.map((name) => [name, 0]));

  /** @param stateDir undefined: ends are kept in memory only. @param sinks of events, beside the log. */
  constructor(stateDir: string | undefined, log: Logger, sinks: readonly NodeEventSink[] = []) {
    this.events = new NodeEventLog([logSink(log), ...sinks]);
    this.exits = new ExitStore(stateDir, (problem) => log.warn({ failure: problem }, problem.what));
  }

  add(record: ExitRecord): void {
    this.#counts.set(record.class, (this.#counts.get(record.class) ?? 0) + 1);
    this.exits.add(record);
  }

  /** Since this agent started; every class, also those that did not happen. */
  get counts(): ReadonlyMap<ExitClass, number> {
    return this.#counts;
  }
}
