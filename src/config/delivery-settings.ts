import { limitOrNone, oneOf } from './parsers.ts';
import { withDefault } from './setting.ts';

/** Settings of the URLs under `/i/`, and of renditions made on request. */
export const deliverySettings = {
  placeholder: withDefault('PLACEHOLDER', oneOf(['none', 'grey']), 'none', {
    about:
      'Body of error responses under `/i/`: `none` sends the problem as JSON, `grey` a small grey image. The status is the same in both cases. See [errors](delivery.md#errors).',
  }),
  maxDerivedBytes: withDefault('DERIVED_MAX_BYTES', limitOrNone, 'none', {
    about:
      'Maximum total size of the renditions that were made on request, in bytes. Above it, the least recently served are evicted; they are made again when they are next requested.',
  }),
} as const;
