import { Counter, Gauge, type Registry } from 'prom-client';
import type { JobReportQueries, QueueDepth } from '../db/jobs/job-reports.ts';
import type { UsageQueries } from '../db/usage/usage.ts';
import type { ListedVectorIndex, VectorIndexQueries } from '../db/vector-indexes.ts';
import type { DecoderPool, DecoderPoolStats } from '../imaging/pool/decoder-pool.ts';
import { jobKinds } from '../model/job.ts';
import { systemPrincipal } from '../model/principal.ts';
import type { OverallUsage } from '../model/tenant.ts';
import type { Storage } from '../storage/storage.ts';

/** The sources queried on each scrape. If one fails or is too slow, the others are still reported. */
export interface MetricSources {
  readonly usage: Pick<UsageQueries, 'readOverall'>;
  readonly reports: Pick<JobReportQueries, 'readQueueDepth'>;
  readonly decoders: Pick<DecoderPool, 'stats'>;
  readonly storage: Pick<Storage, 'freeBytes'>;
  readonly vectorIndexes: Pick<VectorIndexQueries, 'list'>;
}

/** A source that takes longer than this is omitted from the scrape. */
const sourceTimeoutMs = 2_000;

/**
 * Creates a function that copies the values of all sources to metrics in `registry`. The metrics of a failed source
 * stay empty.
 */
export function makeSampler(sources: MetricSources, registry: Registry): () => Promise<void> {
  const { usage, reports, decoders, storage, vectorIndexes } = sources;
  const gauges = {
    queue: makeQueueGauges(registry),
    decoders: makeDecoderGauges(registry),
    usage: makeUsageGauges(registry),
    freeBytes: makeFreeBytesGauge(registry),
    vectorIndexes: makeVectorIndexGauges(registry),
  };
  return async () => {
    await Promise.all([
      sample(() => reports.readQueueDepth(), gauges.queue),
      sample(() => decoders.stats(), gauges.decoders),
      sample(() => usage.readOverall(systemPrincipal), gauges.usage),
      sample(() => storage.freeBytes(), gauges.freeBytes),
      sample(() => vectorIndexes.list(), gauges.vectorIndexes),
    ]);
  };
}

interface Gauges<Values> {
  readonly all: readonly { reset(): void }[];
  set(values: Values): void;
}

/** Resets and sets the gauges synchronously, so that a concurrent scrape never contains only some of the values. */
async function sample<Values>(query: () => Values | Promise<Values>, gauges: Gauges<Values>): Promise<void> {
  const values = await queryWithTimeout(query);
  for (const gauge of gauges.all) gauge.reset();
  if (values !== undefined) gauges.set(values);
}

async function queryWithTimeout<T>(query: () => T | Promise<T>): Promise<T | undefined> {
  const { promise: timeout, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), sourceTimeoutMs);
  try {
    return await Promise.race([Promise.try(query), timeout]);
  } catch {
    // The health check reports the same failure and its reason.
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** Creates a gauge with labels, because a gauge without labels would be 0 instead of absent after a reset. */
function makeGauge<Label extends string>(registry: Registry, name: string, help: string, ...labels: Label[]) {
  return new Gauge({ name, help, labelNames: labels, registers: [registry] });
}

function makeQueueGauges(registry: Registry): Gauges<readonly QueueDepth[]> {
  const jobs = makeGauge(registry, 'vitrine_jobs', 'Jobs that are pending or in progress.', 'kind', 'state');
  const oldestAge = makeGauge(
    registry,
    'vitrine_oldest_pending_job_seconds',
    'Age of the oldest pending job; 0 if no job is pending.',
    'kind',
  );
  return {
    all: [jobs, oldestAge],
    set(depths) {
      for (const kind of jobKinds) {
        const depth = depths.find((candidate) => candidate.kind === kind);
        jobs.set({ kind, state: 'pending' }, depth?.pending ?? 0);
        jobs.set({ kind, state: 'processing' }, depth?.processing ?? 0);
        oldestAge.set({ kind }, depth?.oldestPendingSeconds ?? 0);
      }
    },
  };
}

function makeDecoderGauges(registry: Registry): Gauges<DecoderPoolStats> {
  const decoders = makeGauge(registry, 'vitrine_decoders', 'Decoder processes and waiting tasks.', 'state');
  const exits = new Counter({
    name: 'vitrine_decoder_ends_total',
    help: 'Decoder processes that have ended, by reason.',
    labelNames: ['reason'],
    registers: [registry],
  });
  return {
    all: [decoders, exits],
    set({ size, alive, busy, waiting, recycled, crashes, timeouts, memoryKills }) {
      for (const [state, value] of Object.entries({ size, alive, busy, waiting }))
        decoders.set({ state }, value);
      const reasons = { recycled, crash: crashes, timeout: timeouts, memory: memoryKills };
      for (const [reason, value] of Object.entries(reasons)) exits.inc({ reason }, value);
    },
  };
}

function makeUsageGauges(registry: Registry): Gauges<OverallUsage> {
  const images = makeGauge(registry, 'vitrine_images', 'Images that are not deleted.', 'status');
  const bytes = makeGauge(
    registry,
    'vitrine_storage_bytes',
    'Stored bytes of images that are not deleted.',
    'kind',
  );
  return {
    all: [images, bytes],
    set({ imagesByStatus, originalBytes, renditionBytes }) {
      for (const [status, count] of Object.entries(imagesByStatus)) images.set({ status }, count);
      bytes.set({ kind: 'original' }, originalBytes);
      bytes.set({ kind: 'rendition' }, renditionBytes);
    },
  };
}

function makeFreeBytesGauge(registry: Registry): Gauges<number> {
  const freeBytes = makeGauge(registry, 'vitrine_storage_free_bytes', 'Free bytes in storage.', 'volume');
  return {
    all: [freeBytes],
    set(bytes) {
      // Storage without a size limit, such as a bucket, has no free bytes to report.
      if (Number.isFinite(bytes)) freeBytes.set({ volume: 'pictures' }, bytes);
    },
  };
}

function makeVectorIndexGauges(registry: Registry): Gauges<readonly ListedVectorIndex[]> {
  const recall = new Gauge({
    name: 'vitrine_similarity_recall',
    help: 'Share of the ten most similar images that the index of a tenant finds, at the last audit.',
    labelNames: ['tenant', 'space'],
    registers: [registry],
  });
  return {
    all: [recall],
    set(indexes) {
      for (const { tenant, space, recall: value } of indexes)
        if (value !== null) recall.set({ tenant, space }, value);
    },
  };
}
