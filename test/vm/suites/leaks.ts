// What the agent and the kernel hold, before and after a load that must leave nothing behind.
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { type AgentProcess, eventually } from './agent-process.ts';
import { fact } from './facts.ts';

const RESIDENT_GROWTH_MB = 48;

/** Of the whole machine. */
export interface BpfCounts {
  readonly maps: number;
  readonly programs: number;
  readonly links: number;
}

export const bpfCounts = (): BpfCounts => {
  const count = (kind: string): number =>
    JSON.parse(execFileSync('bpftool', ['-j', kind, 'show'], { encoding: 'utf8', maxBuffer: 1 << 26 }))
      .length;
  return { maps: count('map'), programs: count('prog'), links: count('link') };
};

export const usedSlots = async (agent: AgentProcess): Promise<number> => {
  const line = /^scx_slo_slots\{state="used"\} (\d+)/m.exec(await agent.metrics());
  if (!line) throw new Error(`no scx_slo_slots in the metrics of pid ${agent.child.pid}`);
  return Number(line[1]);
};

/** Taken while the load has not begun; check() after all that belongs to it is gone. */
export class Holdings {
  readonly #agent: AgentProcess;
  readonly #slots: number;
  readonly #residentMb: number;
  readonly #bpf: BpfCounts;

  private constructor(agent: AgentProcess, slots: number) {
    this.#agent = agent;
    this.#slots = slots;
    this.#residentMb = agent.residentMb();
    this.#bpf = bpfCounts();
  }

  /** Once the agent knows all cgroups that are there. */
  static async of(agent: AgentProcess): Promise<Holdings> {
    let slots = -1;
    await eventually('the number of slots settles', async () => {
      const before = slots;
      slots = await usedSlots(agent);
      await sleep(1_000);
      return slots === before ? true : undefined;
    });
    return new Holdings(agent, slots);
  }

  /** Slots may take a moment: a slot rests before it counts as free. */
  async expectBack(name: string): Promise<void> {
    await eventually(
      `the slots used are ${this.#slots} again`,
      async () => ((await usedSlots(this.#agent)) <= this.#slots ? true : undefined),
      60_000,
    );
    expect(bpfCounts()).toEqual(this.#bpf);
    const residentMb = this.#agent.residentMb();
    fact(`agentResidentMb ${name}`, Math.round(residentMb));
    expect(residentMb).toBeLessThan(this.#residentMb + RESIDENT_GROWTH_MB);
  }
}
