import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { JobReportQueries, TenantQueueDepth } from '../../db/jobs/job-reports.ts';
import type { JobKind } from '../../model/job.ts';
import type { Storage } from '../../storage/storage.ts';

/** The latest measurements of the process and its back ends. Reading them never waits. */
export interface LoadSamples {
  /** Returns the pending jobs of this kind by tenant. Empty if no job is pending, or if the depth is not known. */
  queueDepths(kind: JobKind): readonly TenantQueueDepth[];
  /** Free bytes on the disk of the images; `undefined` if not known. */
  freeBytes(): number | undefined;
  /** Mean delay of the event loop in the last second, in milliseconds. */
  eventLoopDelayMs(): number;
}

/** What is measured. */
export interface LoadSampleSources {
  readonly reports: Pick<JobReportQueries, 'readTenantQueueDepths'>;
  readonly storage: Pick<Storage, 'freeBytes'>;
  /** A monotonic clock, in milliseconds. */
  readonly now?: () => number;
}

/** Minimum age at which a value is measured again. */
const refreshMs = 1_000;

/** Age at which a value no longer counts, for example after a pause without requests or while the database is down. */
const maxAgeMs = 10_000;

/** A measurement takes at most this fraction of the time, however long the queue is. */
const maxLoadFraction = 0.05;

/**
 * Creates the samples. A value is measured in the background when it is read and has become old. A process that receives no
 * requests therefore measures nothing.
 */
export function makeLoadSamples({
  reports,
  storage,
  now = () => performance.now(),
}: LoadSampleSources): LoadSamples {
  const depths = makeSample(() => reports.readTenantQueueDepths(), now);
  const freeBytes = makeSample(() => storage.freeBytes(), now);
  const delay = makeDelaySample(now);
  return {
    queueDepths: (kind) => depths()?.filter((depth) => depth.kind === kind) ?? [],
    freeBytes,
    eventLoopDelayMs: delay,
  };
}

/** Returns a function that returns the latest value, and starts a measurement if that value is old. */
function makeSample<T>(measure: () => Promise<T>, now: () => number): () => T | undefined {
  let latest: { readonly value: T; readonly at: number } | undefined;
  let nextAt = Number.NEGATIVE_INFINITY;

  async function refresh(): Promise<void> {
    const startedAt = now();
    nextAt = Number.POSITIVE_INFINITY;
    // If the database or the storage is down, the request itself fails with a better reason.
    const value = await measure().catch(() => undefined);
    latest = value === undefined ? undefined : { value, at: now() };
    nextAt = now() + Math.max(refreshMs, (now() - startedAt) / maxLoadFraction);
  }

  return () => {
    if (now() >= nextAt) void refresh();
    return latest && now() - latest.at < maxAgeMs ? latest.value : undefined;
  };
}

/** Resolution of the event-loop monitor, in milliseconds. Each measured delay includes it. */
const resolutionMs = 20;

function makeDelaySample(now: () => number): () => number {
  let histogram: ReturnType<typeof monitorEventLoopDelay> | undefined;
  let startedAt = now();
  let meanMs = 0;
  return () => {
    if (!histogram) {
      histogram = monitorEventLoopDelay({ resolution: resolutionMs });
      histogram.enable();
      startedAt = now();
    }
    const ageMs = now() - startedAt;
    if (ageMs < refreshMs) return meanMs;
    // The monitor has not run at all if the loop has been blocked for the whole period.
    if (histogram.count === 0) meanMs = ageMs;
    // A longer period includes a time without requests, and says little about the present.
    else meanMs = ageMs < maxAgeMs ? Math.max(0, histogram.mean / 1e6 - resolutionMs) : 0;
    histogram.reset();
    startedAt = now();
    return meanMs;
  };
}
