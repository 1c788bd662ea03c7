import { wholeNumber } from './parsers.ts';
import { type Section, withDefault } from './setting.ts';

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
