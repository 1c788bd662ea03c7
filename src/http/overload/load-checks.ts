import type { JobKind } from '../../model/job.ts';
import type { RefusalReason } from '../../telemetry/admission-metrics.ts';
import type { AdmissionConfig } from './admission.ts';
import type { LoadSamples } from './load-samples.ts';

/** Why a request is refused: the exceeded limit, and a sentence with its value. */
export interface Refusal {
  readonly reason: RefusalReason;
  readonly sentence: string;
}

/** Checks the latest measurements against the limits. Each check returns a refusal if its limit is exceeded. */
export interface LoadChecks {
  /** @param factor multiple of the limit that applies */
  checkDelay(factor: number): Refusal | undefined;
  checkQueue(kind: JobKind): Refusal | undefined;
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
      const sentence = `It responds with a delay of ${Math.round(delayMs)} ms; the limit is ${limitMs} ms.`;
      return { reason: 'event-loop', sentence };
    },

    checkQueue(kind) {
      const depth = samples.queueDepth(kind);
      const waitedSeconds = Math.round(depth?.oldestPendingSeconds ?? 0);
      const limitSeconds = config.maxQueueAgeMs / 1_000;
      if (depth && depth.pending > config.maxQueuedJobs)
        return {
          reason: 'queue',
          sentence: `Its queue contains ${depth.pending} ${kind} jobs; the limit is ${config.maxQueuedJobs}.`,
        };
      if (waitedSeconds > limitSeconds)
        return {
          reason: 'queue',
          sentence: `The oldest ${kind} job in its queue has been waiting for ${waitedSeconds} s; the limit is ${limitSeconds} s.`,
        };
      return undefined;
    },

    checkDisk(bytes, arriving) {
      const freeBytes = samples.freeBytes();
      const { minFreeBytes } = config;
      if (arriving === 0 || freeBytes === undefined || freeBytes < minFreeBytes) return undefined;
      if (freeBytes - arriving - bytes >= minFreeBytes) return undefined;
      const sentence = `Its disk has ${freeBytes} bytes free, of which uploads in progress need ${arriving} and this one may need ${bytes}; ${minFreeBytes} must stay free.`;
      return { reason: 'disk', sentence };
    },
  };
}
