import { setTimeout as sleep } from 'node:timers/promises';
import { StartRefused } from '../errors.ts';
import type { Logger } from '../model/logger.ts';
import type { ClaimStorage } from '../services/claim-storage.ts';

/** A storage that is back is used after this time at the latest. */
const pauseMs = 500;

/**
 * Begins once the storage is known to be the right one: at once, or when it answers. One that proves to be the wrong one
 * then ends the process, as it would have refused the start. Answers how to stop waiting.
 */
export function whenClaimed(claimStorage: ClaimStorage, logger: Logger, begin: () => void): () => void {
  const stopping = new AbortController();

  async function wait(): Promise<void> {
    while (!(await isClaimed())) await sleep(pauseMs, undefined, stopping);
    if (!stopping.signal.aborted) begin();
  }

  async function isClaimed(): Promise<boolean> {
    try {
      return await claimStorage();
    } catch (error) {
      // The database is away: asked again, too.
      if (!(error instanceof StartRefused)) return false;
      logger.error({}, `this process ends: ${error.message}`);
      process.exit(1);
    }
  }

  void wait().catch(() => undefined);
  return () => stopping.abort();
}
