/** From a started pod to a service that is ready to be measured. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { calibrate } from '../bench/calibrate.ts';
import { usageSeconds } from './accounting.ts';
import { cgroupDir } from './node-cgroups.ts';
import type { RunningPod } from './pod-sandbox.ts';

const cpuSecondsOf = (pod: RunningPod): number =>
  usageSeconds(readFileSync(`${cgroupDir(pod.cgroup)}/cpu.stat`, 'utf8')) ?? 0;

/** Waits until the service's HTTP server answers. */
const answers = async (pod: RunningPod): Promise<void> => {
  for (let tries = 0; tries < 300; tries += 1) {
    const up = await fetch(`http://${pod.podIp}:8080/stats`).then(
      (response) => response.ok,
      () => false,
    );
    if (up) return;
    await sleep(50);
  }
  throw new Error(`${pod.pod.metadata.name} does not answer on ${pod.podIp}:8080`);
};

/** Makes a request cost `nominalMs` of CPU in every worker. */
const calibrated = async (
  pod: RunningPod,
  nominalMs: number,
  cpus: number,
  say: (text: string) => void,
): Promise<void> => {
  for (let worker = 0; worker < cpus; worker += 1) {
    const { httpMs, cpuMs } = await calibrate({ host: pod.podIp, port: 8080 + worker }, nominalMs, () =>
      cpuSecondsOf(pod),
    );
    say(
      `${pod.pod.metadata.name}: a request costs ${cpuMs.toFixed(2)} ms of CPU, ${httpMs.toFixed(2)} ms of it HTTP (wanted: ${nominalMs} ms)`,
    );
  }
};

/** Waits until a service does next to nothing: its threads have started, its queue is empty. */
export const quiet = async (service: RunningPod): Promise<void> => {
  const used = (): number => cpuSecondsOf(service);
  for (let last = used(), now = last + 1; now - last > 0.02; ) {
    last = used();
    await sleep(250);
    now = used();
  }
};

/** Waits until it answers and has started all of its threads, then calibrates it. */
export const readyService = async (
  pod: RunningPod,
  nominalMs: number,
  cpus: number,
  say: (text: string) => void,
): Promise<void> => {
  await answers(pod);
  await quiet(pod);
  await calibrated(pod, nominalMs, cpus, say);
};
