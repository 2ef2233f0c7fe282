// What the kernel says while a suite runs.
import { execFileSync } from 'node:child_process';

/** A scheduler that was thrown out, and what the kernel prints when CPUs or tasks got stuck or it broke. */
const TROUBLE =
  /sched_ext: (?!BPF scheduler "[^"]*" (enabled|disabled \((unregistered|Scheduler unregistered) from user))|runnable task stall|watchdog: BUG|soft lockup|hard LOCKUP|rcu: INFO|detected stalls|blocked for more than|\bBUG:|WARNING:|Oops|general protection|hogged CPU for/;
/** Which the kernel does not print when it loads, and prints again as long as it is loaded. */
const HARMLESS = /sched_ext: "[^"]*" does not implement|clocksource|perf: interrupt took too long/;

const lines = (): string[] => execFileSync('dmesg', { encoding: 'utf8', maxBuffer: 1 << 26 }).split('\n');

export class KernelLog {
  #last = lines().at(-2);

  /** Lines that tell of trouble, since the last call or the construction. */
  takeTrouble(): string[] {
    const all = lines().filter(Boolean);
    const fresh = all.slice(this.#last === undefined ? 0 : all.lastIndexOf(this.#last) + 1);
    this.#last = all.at(-1);
    return fresh.filter((line) => TROUBLE.test(line) && !HARMLESS.test(line));
  }
}
