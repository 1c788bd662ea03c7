import { Client } from 'pg';
import { onTestFinished, vi } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import { selectRow } from './database.ts';
import { serverDatabaseUrl } from './server-database.ts';
import { waitTimeoutMs } from '../time-scale.ts';

/**
 * Advisory lock number of the most recently created gate. Each gate uses the next number. Vitrine itself uses none of
 * these numbers.
 */
let lastLockId = 7_239_200;

/** Blocks transactions at a chosen statement, so that a test can reproduce a race reliably. */
export interface Gate {
  /** Resolves when `count` connections are waiting for any lock, or when `work` has ended. */
  untilBlocked(count: number, work?: Promise<unknown>): Promise<void>;
  open(): Promise<void>;
}

/**
 * Blocks every transaction that reaches `point` (such as `AFTER DELETE ON images`) with a row that meets `condition`,
 * until the gate is opened. Requires a PostgreSQL server. The gate is removed at the end of the test.
 */
export async function closeGate(database: Database, point: string, condition: string): Promise<Gate> {
  const lockId = ++lastLockId;
  const { name } = await selectRow<{ name: string }>(database, 'SELECT current_database() AS name');
  const client = new Client({ connectionString: serverDatabaseUrl(name) });
  await client.connect();
  onTestFinished(() => client.end());
  await client.query(`SELECT pg_advisory_lock(${lockId})`);
  // Triggers fire in alphabetical order, so with this name the trigger fires after Vitrine's own triggers.
  await client.query(`
    CREATE FUNCTION wait_at_gate_${lockId}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_advisory_xact_lock_shared(${lockId});
      IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER zz_gate_${lockId} ${point} FOR EACH ROW WHEN (${condition}) EXECUTE FUNCTION wait_at_gate_${lockId}()`);
  onTestFinished(async () => {
    await client.query(`DROP FUNCTION wait_at_gate_${lockId} CASCADE`);
  });

  async function countBlocked(): Promise<number> {
    const { rows } = await client.query<{ count: string }>(`
      SELECT count(*) AS count FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`);
    return Number(rows[0]?.count);
  }

  return {
    async untilBlocked(count, work) {
      let hasEnded = false;
      const end = () => void (hasEnded = true);
      void work?.then(end, end);
      await vi.waitUntil(async () => hasEnded || (await countBlocked()) >= count, {
        timeout: waitTimeoutMs,
        interval: 5,
      });
    },
    async open() {
      await client.query(`SELECT pg_advisory_unlock(${lockId})`);
    },
  };
}
