import { Counter, Histogram, type Registry } from 'prom-client';
import type { Metrics } from './metrics.ts';

/** Upper bounds of the histogram's buckets, in seconds. */
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

type Label = 'method' | 'route' | 'status';

/** The requests with the same method, route and status. */
interface Series {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  /** Number of requests per bucket. The last bucket counts requests that exceed all bounds. */
  readonly buckets: number[];
  /** Total duration of the requests. */
  seconds: number;
}

/**
 * Creates a recorder of request counts and durations. prom-client looks up a series by its labels on every observation.
 * Such lookups would be a large part of the cost of a cached response. This recorder needs only a single map lookup per
 * observation and converts the data to prom-client's format on each scrape.
 */
export function makeRequestRecorder(registry: Registry): Metrics['recordRequest'] {
  const seriesByKey = new Map<string, Series>();
  registry.registerMetric(makeCounter(seriesByKey));
  registry.registerMetric(new RequestHistogram(seriesByKey));
  return ({ method, route, status, seconds }) => {
    const key = `${method} ${status} ${route}`;
    let series = seriesByKey.get(key);
    if (!series) {
      series = {
        method,
        route,
        status,
        seconds: 0,
        buckets: Array.from({ length: bounds.length + 1 }, () => 0),
      };
      seriesByKey.set(key, series);
    }
    let bucketIndex = 0;
    while (seconds > (bounds[bucketIndex] ?? Number.POSITIVE_INFINITY)) bucketIndex++;
    series.buckets[bucketIndex] = (series.buckets[bucketIndex] ?? 0) + 1;
    series.seconds += seconds;
  };
}

function makeCounter(seriesByKey: ReadonlyMap<string, Series>): Counter<Label> {
  return new Counter({
    name: 'vitrine_http_requests_total',
    help: 'Completed HTTP requests.',
    labelNames: ['method', 'route', 'status'],
    registers: [],
    collect() {
      this.reset();
      for (const { method, route, status, buckets } of seriesByKey.values())
        this.inc({ method, route, status: String(status) }, sum(buckets));
    },
  });
}

const histogramOptions = {
  name: 'vitrine_http_request_duration_seconds',
  help: 'Time from a request to the end of its response.',
};

/** Exposes the series in the same way as prom-client's own histogram. */
class RequestHistogram extends Histogram<Label> {
  readonly #seriesByKey: ReadonlyMap<string, Series>;

  constructor(seriesByKey: ReadonlyMap<string, Series>) {
    super({ ...histogramOptions, buckets: bounds, registers: [] });
    this.#seriesByKey = seriesByKey;
  }

  /** prom-client calls this for its text format and for `get()`. The base class's own series stay empty. */
  getForPromString() {
    const values = [...this.#seriesByKey.values()].flatMap(toPromValues);
    return Promise.resolve({ ...histogramOptions, type: 'histogram', aggregator: 'sum', values });
  }
}

function toPromValues({ method, route, status, buckets, seconds }: Series) {
  const { name } = histogramOptions;
  const labels = { method, route, status: String(status) };
  let cumulativeCount = 0;
  const bucketValues = [...bounds, '+Inf'].map((le, bucketIndex) => {
    cumulativeCount += buckets[bucketIndex] ?? 0;
    return { metricName: `${name}_bucket`, labels: { le }, sharedLabels: labels, value: cumulativeCount };
  });
  return [
    ...bucketValues,
    { metricName: `${name}_sum`, sharedLabels: labels, value: seconds },
    { metricName: `${name}_count`, sharedLabels: labels, value: cumulativeCount },
  ];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, value) => total + value, 0);
}
