import { Counter, Histogram, type Registry } from 'prom-client';
import type { Metrics } from './metrics.ts';

/** Upper bounds of the histogram, in seconds. */
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

type Label = 'method' | 'route' | 'status';

/** Requests of one method, route and status. */
interface Series {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  /** Requests by bucket; the last one holds those over every bound. */
  readonly buckets: number[];
  seconds: number;
}

/**
 * Counts requests and their times. The library looks a series up by its labels at each observation, which costs as much
 * as a good part of a hot answer; here that is one look into a map, and the library's form is made when somebody reads.
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
    help: 'Answered requests.',
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
  help: 'Time from a request to the end of its answer.',
};

/** Shows the series as the library's own histogram would. */
class RequestHistogram extends Histogram<Label> {
  readonly #all: ReadonlyMap<string, Series>;

  constructor(all: ReadonlyMap<string, Series>) {
    super({ ...histogram, buckets: bounds, registers: [] });
    this.#all = all;
  }

  /** What the library takes for its text, and for its `get()`. Its own series stay empty. */
  getForPromString() {
    const values = [...this.#all.values()].flatMap(valuesOf);
    return Promise.resolve({ ...histogram, type: 'histogram', aggregator: 'sum', values });
  }
}

function valuesOf({ method, route, status, buckets, seconds }: Series) {
  const { name } = histogram;
  const labels = { method, route, status: String(status) };
  let below = 0;
  const counts = [...bounds, '+Inf'].map((le, bucket) => {
    below += buckets[bucket] ?? 0;
    return { metricName: `${name}_bucket`, labels: { le }, sharedLabels: labels, value: below };
  });
  return [
    ...counts,
    { metricName: `${name}_sum`, sharedLabels: labels, value: seconds },
    { metricName: `${name}_count`, sharedLabels: labels, value: below },
  ];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
