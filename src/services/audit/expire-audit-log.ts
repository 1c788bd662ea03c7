import type { AuditChainQueries } from '../../db/audit-chains/audit-chains.ts';
import type { Logger } from '../../model/logger.ts';

/** Removes old entries of the audit log, and logs the ends of its chains. */
export type ExpireAuditLog = () => Promise<void>;

interface Dependencies {
  readonly auditChains: Pick<AuditChainQueries, 'removeOlderThan' | 'listHeadsAfter'>;
  /** 0 keeps all entries. */
  readonly keepDays: number;
  readonly logger: Logger;
}

/** @see ExpireAuditLog */
export function makeExpireAuditLog({ auditChains, keepDays, logger }: Dependencies): ExpireAuditLog {
  return async () => {
    const removed = keepDays > 0 ? await auditChains.removeOlderThan(keepDays) : 0;
    if (removed > 0)
      logger.info(
        { removed },
        `removed expired entries of the audit log: ${removed} (retention: ${keepDays} days)`,
      );
    // Whoever owns the database can rewrite every chain, but not the copies of its ends in a log that is kept elsewhere.
    for (let after: number | undefined = -1; ; ) {
      const heads = await auditChains.listHeadsAfter(after);
      after = heads.at(-1)?.chain;
      if (after === undefined) return;
      logger.info({ heads }, 'ends of the chains of the audit log');
    }
  };
}
