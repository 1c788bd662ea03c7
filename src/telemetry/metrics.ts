import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { JobKind } from '../model/job.ts';
import type { RenditionFormat } from '../model/preset.ts';
import { version } from '../version.ts';
import { type AdmissionCounts, registerAdmissionMetrics } from './admission-metrics.ts';
import { makeRequestRecorder } from './request-times.ts';
import { makeSampler, type MetricSources } from './sampler.ts';

/** Records requests and jobs. Never throws. */
export interface Metrics {
  /** @param request `route` is the pattern of the path, such as `/v1/images/:id` */
  recordRequest(request: {
    readonly method: string;
    readonly route: string;
    readonly status: number;
    readonly seconds: number;
  }): void;
  recordJob(job: {
    readonly kind: JobKind;
    readonly outcome: 'completed' | 'retrying' | 'failed' | 'dropped';
    readonly seconds: number;
  }): void;
  /** Counts a rendition file that was made. */
  recordRendition(rendition: { readonly preset: string; readonly format: RenditionFormat }): void;
}

/** Metrics that can be exposed to Prometheus. */
export interface ServedMetrics extends Metrics {
  /** Returns all metrics in the Prometheus text format. Omits the metrics of a source that fails. */
  render(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** Adds the metrics of admission control, which only processes that receive uploads have. */
  addAdmission(read: () => AdmissionCounts): void;
}

/** Buckets of job durations, in seconds. */
const jobBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/** Creates the process's metrics in a new registry. `sources` are queried on each scrape. */
export function makeMetrics(sources: MetricSources): ServedMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'vitrine_build_info',
    help: 'Versions of Vitrine and Node; always 1.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.version }, 1);
  const sample = makeSampler(sources, registry);
  return {
    recordRequest: makeRequestRecorder(registry),
    recordJob: makeJobRecorder(registers),
    recordRendition: makeRenditionRecorder(registers),
    addAdmission: (read) => registerAdmissionMetrics(registry, read),
    async render() {
      await sample();
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

function makeRenditionRecorder(registers: Registry[]): Metrics['recordRendition'] {
  const renderings = new Counter({
    name: 'vitrine_renditions_rendered_total',
    help: 'Rendition files that were made, by preset and format.',
    labelNames: ['preset', 'format'],
    registers,
  });
  return ({ preset, format }) => renderings.inc({ preset, format });
}

function makeJobRecorder(registers: Registry[]): Metrics['recordJob'] {
  const labelNames = ['kind', 'outcome'] as const;
  const runs = new Counter({
    name: 'vitrine_job_runs_total',
    help: 'Finished job runs.',
    labelNames,
    registers,
  });
  const duration = new Histogram({
    name: 'vitrine_job_duration_seconds',
    help: 'Duration of job runs.',
    labelNames,
    buckets: jobBuckets,
    registers,
  });
  return ({ kind, outcome, seconds }) => {
    runs.inc({ kind, outcome });
    duration.observe({ kind, outcome }, seconds);
  };
}
