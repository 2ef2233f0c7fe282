/** The real agent as a process: it watches the node, loads its observer into this machine's kernel, and serves. */
import { join } from 'node:path';
import { jsonLines } from './json-lines.ts';
import type { PodAccount } from './pod-account.ts';
import { Program } from './program.ts';

const BUNDLE = 'build/dist/agent.mjs';
const START_LIMIT_MS = 60_000;

export interface AgentStart {
  nodeName: string;
  account: PodAccount;
  /** For its state. */
  dir: string;
  logFile: string;
  /** Beside those that every node's agent has; default: `--mode observe`. */
  flags?: readonly string[];
}

/** What is read of GET /v1/pods. */
export interface PodView {
  namespace: string;
  pod: string;
  container: string;
  uid: string;
  budgetMs: number;
  importance: number;
  clamped: unknown[];
  cgroup: string;
  cgroupId: string;
  slot: number;
  bursts: number;
}

export interface NodeView {
  mode: string;
  pods: PodView[];
  unresolved: unknown[];
  sourceErrors: string[];
}

export interface AgentPorts {
  metrics: number;
  local: number;
  signal: number;
}

export class RunningAgent {
  readonly program: Program;
  readonly ports: AgentPorts;

  constructor(program: Program, ports: AgentPorts) {
    this.program = program;
    this.ports = ports;
  }

  async view(): Promise<NodeView> {
    return (await (await fetch(`http://127.0.0.1:${this.ports.local}/v1/pods`)).json()) as NodeView;
  }

  /** The pod's own line; undefined: it has no slot. */
  async pod(namespace: string, name: string): Promise<PodView | undefined> {
    return (await this.view()).pods.find(
      (pod) => pod.namespace === namespace && pod.pod === name && pod.container === '',
    );
  }

  /** Status and text of /readyz. */
  async readiness(): Promise<{ status: number; text: string }> {
    const response = await fetch(`http://127.0.0.1:${this.ports.metrics}/readyz`);
    return { status: response.status, text: await response.text() };
  }

  /** Sum over the series of /metrics whose line begins so; undefined: there is none. */
  async metric(start: string): Promise<number | undefined> {
    const text = await (await fetch(`http://127.0.0.1:${this.ports.metrics}/metrics`)).text();
    const values = text
      .split('\n')
      .filter((line) => line.startsWith(start))
      .map((line) => Number(line.slice(line.lastIndexOf(' '))));
    return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
  }

  async stop(): Promise<void> {
    await this.program.stop();
  }
}

export async function startAgent({
  nodeName,
  account,
  dir,
  logFile,
  flags = ['--mode', 'observe'],
}: AgentStart): Promise<RunningAgent> {
  const args = [
    ...['--node-name', nodeName, '--state-dir', join(dir, 'state'), ...flags],
    ...['metrics', 'local', 'signal'].flatMap((server) => [`--${server}-address`, '127.0.0.1:0']),
  ];
  const command = account.inPod([process.execPath, BUNDLE, ...args]);
  const program = Program.start({ name: 'agent', ...command, logFile });
  let started: Record<string, unknown> | undefined;
  await program.until(
    'it says that it has started',
    async () => {
      started = jsonLines(program.logText()).find((line) => line.msg === 'started');
      return started !== undefined;
    },
    START_LIMIT_MS,
  );
  const port = (name: string): number => Number(started?.[name]);
  return new RunningAgent(program, {
    metrics: port('metrics'),
    local: port('local'),
    signal: port('signal'),
  });
}
