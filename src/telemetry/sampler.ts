import { Counter, Gauge, type Registry } from 'prom-client';
import type { JobReportQueries, QueueDepth } from '../db/jobs/job-reports.ts';
import type { UsageQueries } from '../db/usage/usage.ts';
import type { DecoderPool, DecoderPoolStats } from '../imaging/pool/decoder-pool.ts';
import { jobKinds } from '../model/job.ts';
import { systemPrincipal } from '../model/principal.ts';
import type { OverallUsage } from '../model/tenant.ts';
import type { Storage } from '../storage/storage.ts';

/** Parts that are asked for their figures when somebody reads them. Each may fail or be late; the others still count. */
export interface MetricSources {
  readonly usage: Pick<UsageQueries, 'overall'>;
  readonly reports: Pick<JobReportQueries, 'depth'>;
  readonly decoders: Pick<DecoderPool, 'stats'>;
  readonly storage: Pick<Storage, 'freeBytes'>;
}

/** A source that has not answered within this time is left out. */
const sourceMs = 2_000;

/** Asks all sources and writes what they answer into gauges of `registry`; gauges of a failed source stay empty. */
export function makeSampler(sources: MetricSources, registry: Registry): () => Promise<void> {
  const { usage, reports, decoders, storage } = sources;
  const gauges = {
    queue: makeQueueGauges(registry),
    decoders: makeDecoderGauges(registry),
    usage: makeUsageGauges(registry),
    free: makeFreeGauge(registry),
  };
  return async () => {
    await Promise.all([
      show(() => reports.depth(), gauges.queue),
      show(() => decoders.stats(), gauges.decoders),
      show(() => usage.overall(systemPrincipal), gauges.usage),
      show(() => storage.freeBytes(), gauges.free),
    ]);
  };
}

interface Gauges<Figures> {
  readonly all: readonly { reset(): void }[];
  set(figures: Figures): void;
}

/** Between emptying the gauges and filling them nothing else runs, so that two readers do not meet half of it. */
async function show<Figures>(ask: () => Figures | Promise<Figures>, gauges: Gauges<Figures>): Promise<void> {
  const figures = await inTime(ask);
  for (const gauge of gauges.all) gauge.reset();
  if (figures !== undefined) gauges.set(figures);
}

async function inTime<T>(ask: () => T | Promise<T>): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), sourceMs);
  try {
    return await Promise.race([Promise.try(ask), late]);
  } catch {
    // The same failure shows in the checks of health, with its reason.
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

// Every gauge has a label: one without would be 0 after a reset, and not missing.
function makeGauge<Label extends string>(registry: Registry, name: string, help: string, ...labels: Label[]) {
  return new Gauge({ name, help, labelNames: labels, registers: [registry] });
}

function makeQueueGauges(registry: Registry): Gauges<readonly QueueDepth[]> {
  const jobs = makeGauge(registry, 'vitrine_jobs', 'Jobs that wait or run.', 'kind', 'state');
  const oldest = makeGauge(
    registry,
    'vitrine_oldest_pending_job_seconds',
    'Age of the oldest job that waits; 0 when none waits.',
    'kind',
  );
  return {
    all: [jobs, oldest],
    set(depths) {
      for (const kind of jobKinds) {
        const depth = depths.find((candidate) => candidate.kind === kind);
        jobs.set({ kind, state: 'pending' }, depth?.pending ?? 0);
        jobs.set({ kind, state: 'processing' }, depth?.processing ?? 0);
        oldest.set({ kind }, depth?.oldestPendingSeconds ?? 0);
      }
    },
  };
}

function makeDecoderGauges(registry: Registry): Gauges<DecoderPoolStats> {
  const children = makeGauge(registry, 'vitrine_decoders', 'Decoder children, and tasks that wait.', 'state');
  const ends = new Counter({
    name: 'vitrine_decoder_ends_total',
    help: 'Decoder children that ended, by reason.',
    labelNames: ['reason'],
    registers: [registry],
  });
  return {
    all: [children, ends],
    set({ size, alive, busy, waiting, recycled, crashes, timeouts, memoryKills }) {
      for (const [state, value] of Object.entries({ size, alive, busy, waiting }))
        children.set({ state }, value);
      const reasons = { recycled, crash: crashes, timeout: timeouts, memory: memoryKills };
      for (const [reason, value] of Object.entries(reasons)) ends.inc({ reason }, value);
    },
  };
}

function makeUsageGauges(registry: Registry): Gauges<OverallUsage> {
  const images = makeGauge(registry, 'vitrine_images', 'Living images.', 'status');
  const bytes = makeGauge(registry, 'vitrine_storage_bytes', 'Bytes of living images.', 'kind');
  return {
    all: [images, bytes],
    set({ imagesByStatus, originalBytes, renditionBytes }) {
      for (const [status, count] of Object.entries(imagesByStatus)) images.set({ status }, count);
      bytes.set({ kind: 'original' }, originalBytes);
      bytes.set({ kind: 'rendition' }, renditionBytes);
    },
  };
}

function makeFreeGauge(registry: Registry): Gauges<number> {
  const free = makeGauge(
    registry,
    'vitrine_storage_free_bytes',
    'Bytes that the storage has room for.',
    'volume',
  );
  return {
    all: [free],
    set(bytes) {
      // Storage without an end, as a bucket has it, has no figure.
      if (Number.isFinite(bytes)) free.set({ volume: 'pictures' }, bytes);
    },
  };
}
