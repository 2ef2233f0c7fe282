/** From what the load generator saw to what is said of it. Pure. */
import { quantile } from '../percentiles.ts';
import type { StreamResult } from '../stream.ts';
import type { HttpService, Variant } from './plan.ts';

/** One variant under one load, as the guest measured it. */
export interface MeasuredWindow {
  variant: Variant;
  load: number;
  /** What the kernel's scheduler was. */
  scheduler: string;
  windowMs: number;
  streams: StreamResult[];
  /** CPU that each service used, seconds. */
  cpuSeconds: Record<string, number>;
}

export interface MeasuredOverload {
  kernel: string;
  cpus: number;
  windows: MeasuredWindow[];
}

/** build/bench/overload-http.json. */
export interface OverloadReport {
  scenario: string;
  clock: 'wall' | 'virtual';
  kernel: string;
  cpus: number;
  runs: number;
  services: readonly HttpService[];
  windows: WindowFigures[];
}

export interface ServiceFigures {
  name: string;
  importance: number;
  /** Of the offered requests: answered within the budget, and refused; 0 .. 1. */
  good: number;
  refused: number;
  /** Of those that were served. */
  p50Ms: number;
  p99Ms: number;
  offered: number;
  failed: number;
}

export interface WindowFigures {
  variant: Variant;
  load: number;
  scheduler: string;
  services: ServiceFigures[];
  /** CPU time of requests answered within their budget / CPUs x window. */
  goodput: number;
  refused: number;
  /** Largest lateness of the load generator itself. */
  maxLateMs: number;
}

const ratio = (part: number, whole: number): number => (whole > 0 ? part / whole : 0);

/** Requests that were never answered come last in `latenciesMs`. */
const answered = ({ latenciesMs, lowerBounds }: StreamResult): number[] =>
  latenciesMs.slice(0, latenciesMs.length - lowerBounds);

const goodOf = (stream: StreamResult, budgetMs: number): number =>
  answered(stream).filter((ms) => ms <= budgetMs).length;

const serviceFigures = (service: HttpService, stream: StreamResult): ServiceFigures => {
  const sorted = Float64Array.from(stream.latenciesMs).sort();
  return {
    name: service.name,
    importance: service.importance,
    good: ratio(goodOf(stream, service.budgetMs), stream.offered),
    refused: ratio(stream.shed, stream.offered),
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    offered: stream.offered,
    failed: stream.failed,
  };
};

export const figuresOf = (
  window: MeasuredWindow,
  services: readonly HttpService[],
  cpus: number,
): WindowFigures => {
  const pairs = services.flatMap((service) => {
    const stream = window.streams.find(({ name }) => name === service.name);
    return stream === undefined ? [] : [{ service, stream }];
  });
  const goodMs = pairs.reduce(
    (sum, { service, stream }) => sum + goodOf(stream, service.budgetMs) * service.requestMs,
    0,
  );
  const offered = pairs.reduce((sum, { stream }) => sum + stream.offered, 0);
  return {
    variant: window.variant,
    load: window.load,
    scheduler: window.scheduler,
    services: pairs.map(({ service, stream }) => serviceFigures(service, stream)),
    goodput: goodMs / (cpus * window.windowMs),
    refused: ratio(
      pairs.reduce((sum, { stream }) => sum + stream.shed, 0),
      offered,
    ),
    maxLateMs: Math.max(...window.streams.map(({ maxLateMs }) => maxLateMs)),
  };
};

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;

const ms = (value: number): string => (Number.isNaN(value) ? '-' : value.toFixed(0));

/** A Markdown table, one row a window. */
export const tableOf = (windows: readonly WindowFigures[]): string => {
  const names = windows[0]?.services.map(({ name }) => name) ?? [];
  const head = [
    'load',
    'policy',
    ...names.map((name) => `${name} in budget`),
    'refused',
    'g',
    ...names.map((name) => `${name} p99 ms`),
  ];
  const rows = windows.map(({ load, variant, services, refused, goodput }) => [
    `${load} x`,
    variant,
    ...services.map(({ good }) => percent(good)),
    percent(refused),
    percent(goodput),
    ...services.map(({ p99Ms }) => ms(p99Ms)),
  ]);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
};
