import type { Logger } from './logger.ts';

/** Something outside that may be away for a while: told once when it goes and once when it is back. */
export interface Outage {
  /** It does not work. Says so in the log the first time. */
  readonly began: (error: unknown) => void;
  /** It works. Says so in the log if it did not before. */
  ended(): void;
  isOn(): boolean;
}

/** @see Outage */
export function makeOutage(
  logger: Pick<Logger, 'info' | 'warn' | 'error'>,
  sentences: { readonly level: 'warn' | 'error'; readonly began: string; readonly ended: string },
): Outage {
  let isOn = false;
  return {
    began(error) {
      if (isOn) return;
      isOn = true;
      const why = typeof error === 'string' ? ` (${error})` : '';
      logger[sentences.level]({ err: error }, `${sentences.began}${why}`);
    },
    ended() {
      if (!isOn) return;
      isOn = false;
      logger.info({}, sentences.ended);
    },
    isOn: () => isOn,
  };
}
