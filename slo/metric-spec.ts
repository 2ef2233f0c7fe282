/** What a component's catalogue says of a metric; docs/metrics.md is made from the catalogues. */
export interface MetricSpec {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
}
