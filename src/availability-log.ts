import type { Logger } from './model/logger.ts';

/** Logs once when a dependency becomes unavailable, and once when it is available again. */
export interface AvailabilityLog {
  /** Call this on every failure. Only the first of several consecutive failures is logged. */
  readonly reportFailure: (error: unknown) => void;
  /** Call this on every success. Only the first success after a failure is logged. */
  reportSuccess(): void;
}

/** @see AvailabilityLog */
export function makeAvailabilityLog(
  logger: Pick<Logger, 'info' | 'warn' | 'error'>,
  messages: { readonly level: 'warn' | 'error'; readonly lost: string; readonly restored: string },
): AvailabilityLog {
  let isUnavailable = false;
  return {
    reportFailure(error) {
      if (isUnavailable) return;
      isUnavailable = true;
      const reason = typeof error === 'string' ? ` (${error})` : '';
      logger[messages.level]({ err: error }, `${messages.lost}${reason}`);
    },
    reportSuccess() {
      if (!isUnavailable) return;
      isUnavailable = false;
      logger.info({}, messages.restored);
    },
  };
}
