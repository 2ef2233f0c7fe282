// The node that a suite judges: kubelet's part (pods), the agent that enforces, and what must still be true at the end.
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { AgentProcess, killAgents, schedExt } from './agent-process.ts';
import { KubeletNode } from './kubelet-node.ts';

const enableSeq = (): string => readFileSync('/sys/kernel/sched_ext/enable_seq', 'utf8').trim();

export class NodeUnderTest extends KubeletNode {
  readonly #name: string;
  #agent: AgentProcess | undefined;
  #enableSeq = '';

  constructor(name: string) {
    super();
    this.#name = name;
  }

  /** The agent; there is none with SCX_SLO_VM_BASELINE. */
  get agent(): AgentProcess {
    if (this.#agent === undefined) throw new Error('no agent was started');
    return this.#agent;
  }

  /**
   * With SCX_SLO_VM_BASELINE set the node stays with the kernel's own scheduler, which keeps weights and limits too:
   * a suite that fails then measures wrong, not the product.
   */
  async enforce(): Promise<void> {
    if (process.env.SCX_SLO_VM_BASELINE) return;
    this.#agent = await AgentProcess.enforce(this.#name, this.podsDir);
    expect((await this.#agent.view()).mode, this.#agent.log()).toBe('enforce');
    this.#enableSeq = enableSeq();
  }

  /** Still the same scheduler, never ejected, never loaded again. */
  async expectEnforcing(): Promise<void> {
    if (this.#agent === undefined) return;
    expect(await this.#agent.metric('scx_slo_scheduler_exits_total'), this.#agent.log()).toBe(0);
    expect([schedExt('state'), schedExt('root/ops'), enableSeq()]).toEqual([
      'enabled',
      'scx_slo',
      this.#enableSeq,
    ]);
    expect((await this.#agent.view()).mode).toBe('enforce');
  }

  override async close(): Promise<void> {
    const stopped = await this.#agent?.stop();
    await killAgents();
    await super.close();
    if (stopped !== undefined) expect(stopped).toBe(0);
  }
}
