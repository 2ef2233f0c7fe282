/** GET /v1/exits: the mode, what is planned, what happened. Dumps name processes of all pods: local only. */
import type { AgentView } from './agent-view.ts';

export const exitsView = (view: AgentView) => ({
  node: view.nodeName,
  version: view.version,
  kernel: view.kernelVersion,
  mode: view.mode.mode,
  wantedMode: view.mode.wanted,
  modeReason: view.mode.reason ?? null,
  restart: view.restart,
  /** Of this agent, by reason. */
  counts: Object.fromEntries(view.schedulerExits),
  /** Newest first, those of earlier agents too. */
  exits: view.exits,
  events: view.events,
});

export type ExitsView = ReturnType<typeof exitsView>;
