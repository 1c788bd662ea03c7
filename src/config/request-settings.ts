import { mebibytes, seconds, wholeNumber } from './parsers.ts';
import { optional, type Section, withDefault } from './setting.ts';

const requestCount = wholeNumber(0, 1_000_000_000);

/**
 * Limits on requests per minute. The defaults are above what one busy client sends: an import uploads 40 images a second for
 * each two processor cores, a page of a catalog loads 100 thumbnails, and many shoppers may share one address.
 */
export const requestSettings = {
  perKey: withDefault('REQUESTS_PER_KEY', requestCount, '300000', {
    about:
      'Maximum number of requests per minute with the same API key, in all processes together; `0` means no limit. Requests beyond it get 429. See [limits](limits.md#requests-per-minute).',
  }),
  perAddress: withDefault('REQUESTS_PER_ADDRESS', requestCount, '60000', {
    about:
      'Maximum number of requests per minute without an API key from the same client address (per /64 for IPv6); `0` means no limit. Requests from this machine and from `TRUSTED_PROXIES` are not counted, but those that they forward are.',
  }),
  invalidKeysPerAddress: withDefault('INVALID_KEYS_PER_ADDRESS', requestCount, '300', {
    about:
      'Maximum number of invalid API keys per minute from the same client address; `0` means no limit. Further keys from this address are not checked, except those that the process has accepted before. Invalid keys from this machine and from `TRUSTED_PROXIES` are not counted, but those that they forward are.',
  }),
} as const satisfies Section;

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
  maxWaitingRenderings: withDefault('MAX_WAITING_RENDERINGS', wholeNumber(0, 100_000), '200', {
    about:
      'Maximum number of renditions that wait in one process to be made on request; more get 503 with `Retry-After`. Requests for the same rendition wait together.',
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
