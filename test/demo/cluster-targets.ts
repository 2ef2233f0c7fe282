/** What the demo's load on a cluster is told, and the arithmetic of its calibration. Pure. */

export interface ServiceTarget {
  host: string;
  port: number;
  /** Of one CPU, 0 .. 4. */
  share: number;
}

const TARGET = /^([a-zA-Z0-9.-]{1,253}):([0-9]{1,5})=([0-9]{1,2}(?:\.[0-9]{1,3})?)$/;
const SHARE_MAX = 4;

/** @returns what is wrong, where something is */
export const parseTargets = (texts: readonly string[]): ServiceTarget[] | string => {
  if (texts.length === 0) return 'no service is named';
  const targets: ServiceTarget[] = [];
  for (const text of texts) {
    const [, host = '', port, share] = TARGET.exec(text) ?? [];
    const target = { host, port: Number(port), share: Number(share) };
    if (host === '' || target.port > 65_535 || !(target.share > 0 && target.share <= SHARE_MAX))
      return `${JSON.stringify(text)} is not HOST:PORT=SHARE with a share of 0.001 .. ${SHARE_MAX} CPUs`;
    targets.push(target);
  }
  return targets;
};

/** How long requests took that had to do nothing, and `turns` turns of the loop. */
export interface Trips {
  bareMs: number;
  loadedMs: number;
  turns: number;
}

/** Turns that cost `requestMs` of CPU; the rest of the trip is not the service's work. undefined: not measurable. */
export const turnsFromTrips = ({ bareMs, loadedMs, turns }: Trips, requestMs: number): number | undefined => {
  const workMs = loadedMs - bareMs;
  return workMs > 0 ? Math.round((turns * requestMs) / workMs) : undefined;
};
