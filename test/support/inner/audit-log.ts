import { sql } from 'kysely';
import { insertAudit, type Actor } from '../../../src/db/audit.ts';
import type { AuditChainQueries } from '../../../src/db/audit-chains/audit-chains.ts';
import type { Database } from '../../../src/db/database.ts';
import type { AuditAction } from '../../../src/model/audit.ts';
import { selectRows } from './database.ts';

const robot: Actor = { subject: 'key 1 (robot)', keyId: '1' };

/** An entry to write. `tenantId` is `null` for an action on the whole installation. */
interface Entry {
  readonly tenantId: number | null;
  readonly action?: AuditAction;
  readonly target?: string;
  readonly actor?: Actor;
  /** Number of equal entries; default: 1. */
  readonly count?: number;
}

/** Writes entries of the audit log in one statement. */
export async function writeEntry(
  database: Pick<Database, 'sql'>,
  { tenantId, action = 'image.create', target = 'target', actor = robot, count = 1 }: Entry,
): Promise<void> {
  await insertAudit(actor, {
    action,
    from: sql`generate_series(1, ${count}::int) number`,
    tenantId: sql`${tenantId}::int`,
    target: sql`${target}::text`,
    details: sql`jsonb_build_object('size', 3)`,
  }).execute(database.sql);
}

/** Seals all entries. */
export async function sealAll({ seal }: Pick<AuditChainQueries, 'seal'>): Promise<void> {
  while ((await seal()) > 0) continue;
}

/** Returns the ids of a chain's entries, in the order of their positions. */
export async function listChainIds(database: Database, tenantId: number): Promise<number[]> {
  const rows = await selectRows<{ id: number }>(
    database,
    `SELECT id FROM audit_log WHERE tenant_id = ${tenantId} AND position IS NOT NULL ORDER BY position`,
  );
  return rows.map(({ id }) => id);
}

/** Changes the log as someone who owns the database can: with the triggers switched off. */
export async function tamper(database: Database, script: string): Promise<void> {
  await database.session(async (run) => {
    const toggle = (action: string) =>
      ['audit_log', 'audit_chains'].map((table) => `ALTER TABLE ${table} ${action} TRIGGER USER;`).join(' ');
    await run(`${toggle('DISABLE')} ${script}; ${toggle('ENABLE')}`);
  });
}
