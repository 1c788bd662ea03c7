import type { Config } from '../../config.ts';
import { AppError } from '../../errors.ts';
import type { JobKind } from '../../model/job.ts';
import type { Logger } from '../../model/logger.ts';
import type { AdmissionCounts, RefusalReason, WorkClass } from '../../telemetry/admission-metrics.ts';
import type { ServedMetrics } from '../../telemetry/metrics.ts';
import { type ColdReads, makeColdReads } from './cold-reads.ts';
import { makeLoadChecks, type Refusal } from './load-checks.ts';
import { type LoadSampleSources, type LoadSamples, makeLoadSamples } from './load-samples.ts';
import { makeRefusalLog, type RefusalLog } from './refusal-log.ts';
import { makeTransfers } from './transfer-limits.ts';
import { makeUploadSlots, type UploadSlot } from './upload-slots.ts';

/** Decides whether a request is admitted while the process is under load. */
export interface Admission {
  /**
   * Admits an upload before its body is read, at once or after waiting for its turn.
   * @throws {AppError} `overloaded`
   */
  admitUpload(request: UploadRequest): AdmittedUpload | Promise<AdmittedUpload>;
  /**
   * @param tenantId `null` for a caller of all tenants
   * @throws {AppError} `overloaded` if a new job of this kind would wait too long.
   */
  assertQueueIsShort(kind: JobKind, tenantId: number | null): void;
  /**
   * Runs work that is not worth doing while the process is busy, such as loading a rendition that is not cached.
   * @param caller identifies whose share the work uses
   */
  runColdRead<T>(caller: string, work: () => Promise<T>): Promise<T>;
  /**
   * Works like `runColdRead`, for renditions that may have to be made first. Making them has a limit of its own, so that
   * renditions that exist need not wait for those that do not.
   */
  runDelivery<T>(caller: string, work: () => Promise<T>): Promise<T>;
  /** Admits any other request unless the process hardly responds. @throws {AppError} `overloaded` */
  readonly admitOther: () => void;
  readonly counts: () => AdmissionCounts;
}

/** An upload that asks to be received. */
export interface UploadRequest {
  /** Identifies whose share the upload uses. */
  readonly caller: string;
  /** The caller's only tenant; `null` for a caller of all tenants. */
  readonly tenantId: number | null;
  /** Declared size of the body, or the maximum if no size is declared. */
  readonly bytes: number;
  /** Whether the upload's job will wait for a worker. */
  readonly isQueued: boolean;
  /** Called with the upload's slot while the upload may still be waiting, so that the slot can be given back. */
  readonly onSlot: (slot: Pick<UploadSlot, 'release'>) => void;
}

/** An upload that may be received and processed. */
export type AdmittedUpload = Pick<UploadSlot, 'suspend' | 'resume' | 'release'>;

/** Settings of admission control. */
export type AdmissionConfig = Config['overload'] & {
  /** Number of decoder workers. */
  readonly decoders: number;
  readonly minFreeBytes: number;
};

/** Creates the admission control of a process, and adds its metrics. */
export function composeAdmission(
  { overload, worker, storage }: Pick<Config, 'overload' | 'worker' | 'storage'>,
  { metrics, ...sources }: LoadSampleSources & { readonly metrics: Pick<ServedMetrics, 'addAdmission'> },
  logger: Logger,
): Admission {
  const config = { ...overload, decoders: worker.concurrency, minFreeBytes: storage.minFreeBytes };
  const admission = makeAdmission(config, makeLoadSamples(sources), logger);
  metrics.addAdmission(admission.counts);
  return admission;
}

/** Other requests are refused only if the event loop is delayed by this multiple of the limit for uploads. */
const otherRequestsFactor = 4;

/** When a refused client should try again at the earliest, by reason. */
const retryAfterSeconds: Readonly<Record<RefusalReason, number>> = {
  busy: 2,
  'in-flight': 2,
  'cold-reads': 1,
  'event-loop': 5,
  disk: 10,
  queue: 30,
};

/** @see Admission */
export function makeAdmission(config: AdmissionConfig, samples: LoadSamples, logger: Logger): Admission {
  const log = makeRefusalLog(logger);
  const checks = makeLoadChecks(config, samples);
  const uploads = makeUploadAdmission(config, log);
  const coldReads = makeColdReads(config.maxColdReads);
  const deliveries = makeColdReads(
    config.maxColdReads + config.maxWaitingRenderings,
    (total) => `${total} ${total === 1 ? 'rendition is' : 'renditions are'} being loaded or made`,
    'MAX_COLD_READS and MAX_WAITING_RENDERINGS',
  );

  async function runRead<T>(reads: ColdReads, caller: string, work: () => Promise<T>): Promise<T> {
    const sentence = reads.explainRefusal(caller);
    const refusal: Refusal | undefined =
      sentence === undefined
        ? undefined
        : { reason: 'cold-reads', sentence, retryAfterSeconds: reads.retryAfterSeconds() };
    assertNotRefused(log, 'cold-read', checks.checkDelay(1) ?? refusal);
    log.recordAdmission('cold-read');
    return reads.run(caller, work);
  }

  return {
    admitUpload(request) {
      assertNotRefused(log, 'upload', checks.checkDelay(1));
      if (request.isQueued) assertNotRefused(log, 'upload', checks.checkQueue('derive', request.tenantId));
      assertNotRefused(log, 'upload', checks.checkDisk(request.bytes, uploads.counts().bytesInFlight));
      return uploads.admit(request);
    },
    assertQueueIsShort(kind, tenantId) {
      assertNotRefused(log, 'import', checks.checkDelay(1) ?? checks.checkQueue(kind, tenantId));
      log.recordAdmission('import');
    },
    runColdRead: (caller, work) => runRead(coldReads, caller, work),
    runDelivery: (caller, work) => runRead(deliveries, caller, work),
    admitOther: () => assertNotRefused(log, 'other', checks.checkDelay(otherRequestsFactor)),
    counts: () => ({ ...uploads.counts(), ...log.totals() }),
  };
}

/** @throws {AppError} `overloaded` if there is a refusal. */
function assertNotRefused(log: RefusalLog, work: WorkClass, refusal: Refusal | undefined): void {
  if (!refusal) return;
  const { reason, sentence } = refusal;
  log.recordRefusal(work, reason, sentence);
  const seconds = Math.max(retryAfterSeconds[reason], refusal.retryAfterSeconds ?? 0);
  throw makeOverloadedError(`The server is overloaded. ${sentence} Try again in ${seconds} s.`, seconds);
}

/** Makes the error without a stack trace, which would take a tenth of the CPU time of a refusal and is never logged. */
function makeOverloadedError(message: string, retryAfterSeconds: number): AppError {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return new AppError('overloaded', message, { retryAfterSeconds });
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** Twice the decoder workers keep them busy while other uploads are stored; two more are received at the same time. */
function defaultActiveUploads(decoders: number): number {
  return 2 * decoders + 2;
}

/** Admits uploads by the limits that concern only uploads: slots, and uploads and bytes in flight. */
function makeUploadAdmission(config: AdmissionConfig, log: RefusalLog) {
  const slots = makeUploadSlots({
    maxActive: config.maxActiveUploads ?? defaultActiveUploads(config.decoders),
    maxWaiting: config.maxWaitingUploads,
  });
  const transfers = makeTransfers({
    maxUploads: config.maxUploadsInFlight,
    maxBytes: config.maxUploadBytesInFlight,
  });

  function assertTransferFits({ caller, bytes }: UploadRequest): void {
    const sentence = transfers.explainRefusal(caller, bytes);
    assertNotRefused(log, 'upload', sentence === undefined ? undefined : { reason: 'in-flight', sentence });
  }

  function assertGranted(isGranted: boolean): void {
    if (isGranted) return;
    assertNotRefused(log, 'upload', { reason: 'busy', sentence: slots.explainRefusal() });
  }

  function begin(slot: UploadSlot, request: UploadRequest): AdmittedUpload {
    try {
      // Others may have begun while this upload was waiting.
      assertTransferFits(request);
    } catch (error) {
      slot.release();
      throw error;
    }
    const endTransfer = transfers.begin(request.caller, request.bytes);
    log.recordAdmission('upload');
    const release = () => {
      slot.release();
      endTransfer();
    };
    return { suspend: slot.suspend, resume: slot.resume, release };
  }

  return {
    admit(request: UploadRequest): AdmittedUpload | Promise<AdmittedUpload> {
      assertTransferFits(request);
      const slot = slots.take(request.caller);
      if (slot.granted instanceof Promise) {
        request.onSlot(slot);
        return slot.granted.then((isGranted) => {
          assertGranted(isGranted);
          return begin(slot, request);
        });
      }
      assertGranted(slot.granted);
      return begin(slot, request);
    },
    counts() {
      const { uploads: inFlight, bytes: bytesInFlight } = transfers.counts();
      return { ...slots.counts(), inFlight, bytesInFlight };
    },
  };
}
