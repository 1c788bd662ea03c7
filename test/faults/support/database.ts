import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { serverDatabaseUrl } from '../../support/inner/server-database.ts';

/** Runs a query directly on the database and returns its rows. */
export async function queryRows<Row>(database: string, statement: string): Promise<Row[]> {
  const client = new Client({ connectionString: serverDatabaseUrl(database) });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(statement)).rows as Row[];
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Polls until `isReached` resolves with `true`. Returns the time in milliseconds. @throws after `limitMs`. */
export async function timeUntil(
  event: string,
  limitMs: number,
  isReached: () => Promise<boolean>,
): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    const isDone = await isReached().catch(() => false);
    const ms = performance.now() - startedAt;
    if (isDone && ms <= limitMs) return ms;
    if (ms > limitMs) throw new Error(`Timed out after ${limitMs} ms while waiting for ${event}.`);
    await sleep(20);
  }
}

/** Returns the ids of pending and processing jobs. */
export async function listUnfinishedJobIds(database: string): Promise<number[]> {
  const rows = await queryRows<{ id: string }>(
    database,
    "SELECT id FROM jobs WHERE state IN ('pending', 'processing') ORDER BY id",
  );
  return rows.map(({ id }) => Number(id));
}
