import type { JobKind } from '../../model/job.ts';
import type { RefusalReason } from '../../telemetry/admission-metrics.ts';
import type { AdmissionConfig } from './admission.ts';
import type { LoadSamples } from './load-samples.ts';

/** Why a request is refused: the exceeded limit, and a sentence with its value. */
export interface Refusal {
  readonly reason: RefusalReason;
  readonly sentence: string;
  /** When the client should try again, if that is later than for other refusals with this reason. */
  readonly retryAfterSeconds?: number;
}

/** Checks the latest measurements against the limits. Each check returns a refusal if its limit is exceeded. */
export interface LoadChecks {
  /** @param factor multiple of the limit that applies */
  checkDelay(factor: number): Refusal | undefined;
  /**
   * A long queue of other tenants does not concern a tenant whose own jobs are few and do not wait for long, because tenants
   * take turns.
   * @param tenantId `null` for a caller of all tenants, whom the whole queue concerns
   */
  checkQueue(kind: JobKind, tenantId: number | null): Refusal | undefined;
  /**
   * The disk must have room for an upload of `bytes` and for the `arriving` bytes of other uploads. A disk that is already full is
   * reported when it is used.
   */
  checkDisk(bytes: number, arriving: number): Refusal | undefined;
}

/** @see LoadChecks */
export function makeLoadChecks(config: AdmissionConfig, samples: LoadSamples): LoadChecks {
  return {
    checkDelay(factor) {
      const delayMs = samples.eventLoopDelayMs();
      const limitMs = factor * config.maxEventLoopDelayMs;
      if (delayMs <= limitMs) return undefined;
      const setting = factor === 1 ? 'MAX_EVENT_LOOP_DELAY_MS' : `${factor} times MAX_EVENT_LOOP_DELAY_MS`;
      const sentence = `It responds with a delay of ${Math.round(delayMs)} ms; the limit is ${limitMs} ms (${setting}).`;
      return { reason: 'event-loop', sentence };
    },

    checkQueue(kind, tenantId) {
      const depths = samples.queueDepths(kind);
      const pending = depths.reduce((total, depth) => total + depth.pending, 0);
      const own = tenantId === null ? depths : depths.filter((depth) => depth.tenantId === tenantId);
      const ownPending = own.reduce((total, depth) => total + depth.pending, 0);
      const ownShare = tenantId === null ? 0 : config.maxQueuedJobs / depths.length;
      if (pending > config.maxQueuedJobs && ownPending > ownShare)
        return {
          reason: 'queue',
          sentence: `Its queue contains ${pending} ${kind} ${pending === 1 ? 'job' : 'jobs'}; the limit is ${config.maxQueuedJobs} (MAX_QUEUED_JOBS).`,
        };
      const waitedSeconds = Math.round(
        Math.max(0, ...own.map(({ oldestPendingSeconds }) => oldestPendingSeconds)),
      );
      const limitSeconds = config.maxQueueAgeMs / 1_000;
      if (waitedSeconds > limitSeconds)
        return {
          reason: 'queue',
          sentence: `The oldest ${kind} job in its queue has been waiting for ${waitedSeconds} s; the limit is ${limitSeconds} s (MAX_QUEUE_SECONDS).`,
        };
      return undefined;
    },

    checkDisk(bytes, arriving) {
      const freeBytes = samples.freeBytes();
      const { minFreeBytes } = config;
      if (arriving === 0 || freeBytes === undefined || freeBytes < minFreeBytes) return undefined;
      if (freeBytes - arriving - bytes >= minFreeBytes) return undefined;
      const sentence = `Its disk has ${freeBytes} bytes free, of which uploads in progress need ${arriving} and this one may need ${bytes}; ${minFreeBytes} must stay free (MIN_FREE_DISK_MB).`;
      return { reason: 'disk', sentence };
    },
  };
}
