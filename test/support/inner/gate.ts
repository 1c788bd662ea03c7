import { Client } from 'pg';
import { onTestFinished, vi } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import { rowOf } from './database.ts';
import { urlOfDatabase } from './server-database.ts';
import { patienceMs } from '../time-scale.ts';

/** Gates are numbered from here on: no lock of the product has these numbers. */
let lastGate = 7_239_200;

/** Holds transactions at one point of their work, so that a test meets a window of time that luck seldom finds. */
export interface Gate {
  /** Ends when `count` connections wait for a lock, at the gate or for each other, or when `work` ends without. */
  waiting(count: number, work?: Promise<unknown>): Promise<void>;
  open(): Promise<void>;
}

/**
 * Holds every transaction of a server's database that comes to `point` (such as `AFTER DELETE ON images`) with a row for
 * which `condition` holds, until the gate is opened. For one test.
 */
export async function closeGate(database: Database, point: string, condition: string): Promise<Gate> {
  const gate = ++lastGate;
  const { name } = await rowOf<{ name: string }>(database, 'SELECT current_database() AS name');
  const client = new Client({ connectionString: urlOfDatabase(name) });
  await client.connect();
  onTestFinished(() => client.end());
  await client.query(`SELECT pg_advisory_lock(${gate})`);
  // The last trigger of its kind, by name: what the product's own ones do is done.
  await client.query(`
    CREATE FUNCTION wait_at_${gate}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_advisory_xact_lock_shared(${gate});
      IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER zz_gate_${gate} ${point} FOR EACH ROW WHEN (${condition}) EXECUTE FUNCTION wait_at_${gate}()`);
  onTestFinished(async () => {
    await client.query(`DROP FUNCTION wait_at_${gate} CASCADE`);
  });

  async function countWaiting(): Promise<number> {
    const { rows } = await client.query<{ count: string }>(`
      SELECT count(*) AS count FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`);
    return Number(rows[0]?.count);
  }

  return {
    async waiting(count, work) {
      let hasEnded = false;
      const end = () => void (hasEnded = true);
      void work?.then(end, end);
      await vi.waitUntil(async () => hasEnded || (await countWaiting()) >= count, {
        timeout: patienceMs,
        interval: 5,
      });
    },
    async open() {
      await client.query(`SELECT pg_advisory_unlock(${gate})`);
    },
  };
}
