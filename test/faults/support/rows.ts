import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { urlOfDatabase } from '../../support/inner/server-database.ts';

/** What a statement answers, asked past Vitrine over a connection of its own. */
export async function ask<Row>(database: string, statement: string): Promise<Row[]> {
  const client = new Client({ connectionString: urlOfDatabase(database) });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(statement)).rows as Row[];
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Waits until `isReached` says so; answers the milliseconds. @throws when that takes longer than `limitMs`. */
export async function timeUntil(
  what: string,
  limitMs: number,
  isReached: () => Promise<boolean>,
): Promise<number> {
  const began = performance.now();
  for (;;) {
    const reached = await isReached().catch(() => false);
    const ms = performance.now() - began;
    if (reached && ms <= limitMs) return ms;
    if (ms > limitMs) throw new Error(`${what}: not within ${limitMs} ms`);
    await sleep(20);
  }
}

/** Numbers of jobs that have not ended. */
export async function openJobs(database: string): Promise<number[]> {
  const rows = await ask<{ id: string }>(
    database,
    "SELECT id FROM jobs WHERE state IN ('pending', 'processing') ORDER BY id",
  );
  return rows.map(({ id }) => Number(id));
}
