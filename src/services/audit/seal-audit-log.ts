import type { AuditChainQueries } from '../../db/audit-chains/audit-chains.ts';
import type { Logger } from '../../model/logger.ts';

/** Seals new entries of the audit log. */
export interface AuditSealer {
  /** Starts a pass twice a second. Can be called repeatedly. */
  start(): void;
  /** Runs one pass. For short-lived processes. Never rejects. */
  sealNow(): Promise<void>;
  /** Seals what is left and stops. */
  stop(): Promise<void>;
}

/** Interval between two passes: an entry must be sealed within a second. */
const intervalMs = 500;

/** Batches per pass. The next pass continues, so that a process can stop while others write. */
const maxBatches = 50;

/**
 * Creates the task that seals new entries. It is not part of the transactions that write them, because appending to a chain
 * would let only one transaction of a tenant run at a time.
 */
export function makeAuditSealer({
  auditChains,
  logger,
}: {
  readonly auditChains: Pick<AuditChainQueries, 'seal'>;
  readonly logger: Logger;
}): AuditSealer {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let isFailing = false;

  async function sealAll(): Promise<void> {
    try {
      for (let batch = 0; batch < maxBatches && (await auditChains.seal()) > 0; batch += 1) continue;
      isFailing = false;
    } catch (error) {
      // While the database cannot be reached, nothing is written either.
      if (!isFailing) logger.warn({ err: error }, 'the audit log could not be sealed; trying again');
      isFailing = true;
    }
  }

  return {
    start() {
      const next = () => {
        running = sealAll().then(() => {
          if (timer !== undefined) timer = setTimeout(next, intervalMs).unref();
        });
      };
      timer ??= setTimeout(next, intervalMs).unref();
    },
    sealNow: sealAll,
    async stop() {
      clearTimeout(timer);
      timer = undefined;
      await running;
      await sealAll();
    },
  };
}
