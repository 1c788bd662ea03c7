import { limitOrNone, oneOf } from './parsers.ts';
import { withDefault } from './setting.ts';

/** Settings of the addresses at which renditions are delivered, and of renditions made on request. */
export const deliverySettings = {
  placeholder: withDefault('PLACEHOLDER', oneOf(['none', 'grey']), 'none', {
    about:
      'Body of error responses at the addresses under `/i/`: `none` sends the problem as JSON, `grey` a small grey picture. The status is the same in both cases. See [errors](delivery.md#errors).',
  }),
  maxDerivedBytes: withDefault('DERIVED_MAX_BYTES', limitOrNone, 'none', {
    about:
      'Maximum total size of the renditions that were made on request, in bytes. Above it, those that were served least recently are deleted; they are made again when they are next requested.',
  }),
} as const;
