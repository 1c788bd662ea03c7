import type { Database } from '../database.ts';
import { makeAuditRetentionQueries } from './retention.ts';
import { makeSealingQueries } from './sealing.ts';
import { makeVerificationQueries } from './verification.ts';

/**
 * Queries that seal and verify the audit log and remove old entries. Sealed entries form hash chains, one per tenant and one
 * for actions on the whole installation: the hash of an entry covers that of the previous one.
 */
export type AuditChainQueries = ReturnType<typeof makeAuditChainQueries>;

/** @see AuditChainQueries */
export function makeAuditChainQueries(database: Database) {
  return {
    ...makeSealingQueries(database),
    ...makeVerificationQueries(database),
    ...makeAuditRetentionQueries(database),
  };
}
