import { Counter, Histogram, type Registry } from 'prom-client';
import type { Metrics } from './metrics.ts';

/** Upper bounds of the histogram's buckets, in seconds. */
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

type Label = 'method' | 'route' | 'status';

/** Requests of one method, route and status. */
interface Series {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  /** Requests per bucket. The last bucket counts those above all bounds. */
  readonly buckets: number[];
  seconds: number;
}

/**
 * Creates a recorder of request counts and durations. prom-client looks up a series by its labels on every observation,
 * which would be a large part of the cost of a cached response. Here that is a single map lookup, and the data is converted
 * to prom-client's format on a scrape.
 */
export function makeRequestTimes(registry: Registry): Metrics['requestEnded'] {
  const all = new Map<string, Series>();
  registry.registerMetric(makeCounter(all));
  registry.registerMetric(new RequestHistogram(all));
  return ({ method, route, status, seconds }) => {
    const key = `${method} ${status} ${route}`;
    let series = all.get(key);
    if (!series) {
      series = {
        method,
        route,
        status,
        seconds: 0,
        buckets: Array.from({ length: bounds.length + 1 }, () => 0),
      };
      all.set(key, series);
    }
    let bucket = 0;
    while (seconds > (bounds[bucket] ?? Number.POSITIVE_INFINITY)) bucket++;
    series.buckets[bucket] = (series.buckets[bucket] ?? 0) + 1;
    series.seconds += seconds;
  };
}

function makeCounter(all: ReadonlyMap<string, Series>): Counter<Label> {
  return new Counter({
    name: 'vitrine_http_requests_total',
    help: 'Completed HTTP requests.',
    labelNames: ['method', 'route', 'status'],
    registers: [],
    collect() {
      this.reset();
      for (const { method, route, status, buckets } of all.values())
        this.inc({ method, route, status: String(status) }, sum(buckets));
    },
  });
}

const histogram = {
  name: 'vitrine_http_request_duration_seconds',
  help: 'Time from a request to the end of its response.',
};

/** Exposes the series like prom-client's own histogram. */
class RequestHistogram extends Histogram<Label> {
  readonly #all: ReadonlyMap<string, Series>;

  constructor(all: ReadonlyMap<string, Series>) {
    super({ ...histogram, buckets: bounds, registers: [] });
    this.#all = all;
  }

  /** prom-client calls this for its text format and for `get()`. The base class's own series stay empty. */
  getForPromString() {
    const values = [...this.#all.values()].flatMap(valuesOf);
    return Promise.resolve({ ...histogram, type: 'histogram', aggregator: 'sum', values });
  }
}

function valuesOf({ method, route, status, buckets, seconds }: Series) {
  const { name } = histogram;
  const labels = { method, route, status: String(status) };
  let cumulative = 0;
  const counts = [...bounds, '+Inf'].map((le, bucket) => {
    cumulative += buckets[bucket] ?? 0;
    return { metricName: `${name}_bucket`, labels: { le }, sharedLabels: labels, value: cumulative };
  });
  return [
    ...counts,
    { metricName: `${name}_sum`, sharedLabels: labels, value: seconds },
    { metricName: `${name}_count`, sharedLabels: labels, value: cumulative },
  ];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
