import type { AuditQueries } from '../../db/audit.ts';
import type { Logger } from '../../model/logger.ts';

/** Seals new entries of the audit log. */
export interface AuditSealer {
  start(): void;
  /** Seals what is left and stops. */
  stop(): Promise<void>;
}

/** Interval between two passes: an entry must be sealed within a second. */
const intervalMs = 500;

/**
 * Creates the task that seals new entries. It is not part of the transactions that write them, because appending to a chain
 * would let only one transaction of a tenant run at a time.
 */
export function makeAuditSealer({
  audit,
  logger,
}: {
  readonly audit: Pick<AuditQueries, 'seal'>;
  readonly logger: Logger;
}): AuditSealer {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let isFailing = false;

  async function sealAll(): Promise<void> {
    try {
      while ((await audit.seal()) > 0) continue;
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
    async stop() {
      clearTimeout(timer);
      timer = undefined;
      await running;
      await sealAll();
    },
  };
}
