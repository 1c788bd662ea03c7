import { mebibytes, seconds, wholeNumber } from './parsers.ts';
import { optional, withDefault } from './setting.ts';

/** Settings that decide which requests are refused under load. */
export const overloadSettings = {
  maxActiveUploads: optional('MAX_ACTIVE_UPLOADS', wholeNumber(1, 10_000), {
    about:
      'Maximum number of uploads that one process handles at the same time; more wait. Includes comparisons and searches by image.',
    fallbackDescription: 'twice `WORKER_CONCURRENCY`, plus 2',
  }),
  maxWaitingUploads: withDefault('MAX_WAITING_UPLOADS', wholeNumber(0, 100_000), '100', {
    about:
      'Maximum number of uploads that wait for their turn; more get 503. While the process is overloaded, only a few may wait.',
  }),
  maxUploadsInFlight: withDefault('MAX_UPLOADS_IN_FLIGHT', wholeNumber(1, 100_000), '256', {
    about:
      'Maximum number of uploads that one process receives or handles at the same time, including those that arrive slowly; more get 503. One caller may have half of them.',
  }),
  maxUploadBytesInFlight: withDefault('MAX_UPLOAD_MB_IN_FLIGHT', mebibytes(1, 1_048_576), '1024', {
    about:
      'Maximum total size of the uploads that one process receives or handles at the same time, in MiB; more get 503. One caller may have half of it.',
  }),
  maxColdReads: withDefault('MAX_COLD_READS', wholeNumber(1, 100_000), '64', {
    about:
      'Maximum number of renditions that one process loads from storage at the same time; more get 503, except for callers that use less than their share. Cached renditions are not counted.',
  }),
  maxQueuedJobs: withDefault('MAX_QUEUED_JOBS', wholeNumber(1, 1_000_000_000), '100000', {
    about:
      'While more jobs of a kind are pending, queued uploads (`derive`) or imports (`import`) get 503, except from tenants that use less than their share of the queue. Inline uploads do not use the queue.',
  }),
  maxQueueAgeMs: withDefault('MAX_QUEUE_SECONDS', seconds(1, 31_536_000), '3600', {
    about:
      'While the oldest due job of a kind has been waiting for longer, queued uploads or imports get 503. For a key with a tenant, only the jobs of that tenant count.',
  }),
  maxEventLoopDelayMs: withDefault('MAX_EVENT_LOOP_DELAY_MS', wholeNumber(10, 60_000), '1000', {
    about:
      'While the process responds with a longer delay (mean of a second), uploads and uncached renditions get 503; other requests do at four times this delay.',
  }),
} as const;
