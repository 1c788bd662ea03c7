import { maxKeyExpirySeconds, maxOverlapSeconds } from '../../model/api-key.ts';
import { UsageError } from '../options.ts';

/** The shortest and the longest duration that an option accepts, in seconds and as users write them. */
export interface DurationLimits {
  readonly min: { readonly seconds: number; readonly text: string };
  readonly max: { readonly seconds: number; readonly text: string };
}

const secondsPerUnit: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, y: 31_536_000 };

/** Limits of the time until a key expires. */
export const expiryLimits: DurationLimits = {
  min: { seconds: 1, text: '1s' },
  max: { seconds: maxKeyExpirySeconds, text: '10y' },
};
/** Limits of the time for which a rotated key keeps working. */
export const overlapLimits: DurationLimits = {
  min: { seconds: 0, text: '0' },
  max: { seconds: maxOverlapSeconds, text: '30d' },
};

/** Parses a duration such as `90d`, or `0`. Returns seconds. @throws {UsageError} */
export function parseDuration(option: string, text: string, { min, max }: DurationLimits): number {
  const duration = /^0+$/.test(text.trim()) ? '0s' : text.trim();
  const [, count, unit = ''] = /^(\d{1,9})([smhdy])$/.exec(duration) ?? [];
  const seconds = Number(count) * (secondsPerUnit[unit] ?? Number.NaN);
  if (Number.isNaN(seconds))
    throw new UsageError(
      `--${option} must be a whole number and a unit (s, m, h, d or y), such as 90d, not "${text}".`,
    );
  if (seconds >= min.seconds && seconds <= max.seconds) return seconds;
  throw new UsageError(`--${option} must be from ${min.text} to ${max.text}, not "${text}".`);
}
