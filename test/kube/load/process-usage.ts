/** CPU time and memory of a process, as the kernel counts them. */
import { readdirSync, readFileSync } from 'node:fs';

/** All threads that live; nanoseconds are counted, not clock ticks. */
export const cpuSeconds = (pid: number): number =>
  readdirSync(`/proc/${pid}/task`)
    .map((task) => readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8'))
    .reduce((sum, text) => sum + Number(text.split(' ', 1)[0]) / 1e9, 0);

export const rssMb = (pid: number): number => {
  const line = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return (Number(line?.[1]) * 1024) / 1e6;
};
