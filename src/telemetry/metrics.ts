import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { JobKind } from '../model/job.ts';
import { version } from '../version.ts';
import { makeRequestTimes } from './request-times.ts';
import { makeSampler, type MetricSources } from './sampler.ts';

/** Counts requests and jobs. Never throws. */
export interface Metrics {
  /** @param request `route` is the pattern of its address, such as `/v1/images/:id` */
  requestEnded(request: {
    readonly method: string;
    readonly route: string;
    readonly status: number;
    readonly seconds: number;
  }): void;
  jobEnded(job: {
    readonly kind: JobKind;
    readonly outcome: 'completed' | 'retrying' | 'failed' | 'dropped';
    readonly seconds: number;
  }): void;
}

/** Metrics that can be rendered. */
export interface ServedMetrics extends Metrics {
  /** All figures in Prometheus' text format. Never fails because of a source. */
  render(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** Upper bounds of the times of jobs, in seconds. */
const jobSeconds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/** Figures of one process, in a registry of their own. `sources` are asked when somebody reads. */
export function makeMetrics(sources: MetricSources): ServedMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'vitrine_build_info',
    help: 'Version of Vitrine and of Node; always 1.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.version }, 1);
  const sample = makeSampler(sources, registry);
  return {
    requestEnded: makeRequestTimes(registry),
    jobEnded: countJobs(registers),
    async render() {
      await sample();
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

function countJobs(registers: Registry[]): Metrics['jobEnded'] {
  const labelNames = ['kind', 'outcome'] as const;
  const runs = new Counter({
    name: 'vitrine_job_runs_total',
    help: 'Ended runs of jobs.',
    labelNames,
    registers,
  });
  const duration = new Histogram({
    name: 'vitrine_job_duration_seconds',
    help: 'Time of a run of a job.',
    labelNames,
    buckets: jobSeconds,
    registers,
  });
  return ({ kind, outcome, seconds }) => {
    runs.inc({ kind, outcome });
    duration.observe({ kind, outcome }, seconds);
  };
}
