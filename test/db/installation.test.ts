import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { makeInstallationQueries } from '../../src/db/installation.ts';
import { useDatabase } from '../support/inner/database.ts';

const database = await useDatabase();
const installation = makeInstallationQueries(database);

// A sweep pass is one run of a periodic clean-up. A process claims a pass, so that no other process runs the same pass.
test('allows only one of many concurrent processes to claim a sweep pass', async () => {
  const results = await Promise.all(
    Array.from({ length: 10 }, () => installation.claimSweepPass('orphans', 3600)),
  );
  expect(results.filter(Boolean)).toHaveLength(1);
});

test('allows a pass to be claimed again after 90 % of its interval, independently of other passes', async () => {
  expect(await installation.claimSweepPass('daily', 3600)).toBe(true);
  expect(await installation.claimSweepPass('daily', 3600)).toBe(false);
  expect(await installation.claimSweepPass('hourly', 3600)).toBe(true);
  await database.runScript("UPDATE sweep_passes SET begun_at = now() - interval '55 minutes'");
  expect(await installation.claimSweepPass('daily', 3600)).toBe(true);
});

// A PostgreSQL server does this itself.
test.runIf(database.kind === 'embedded')('analyzes a table once it has grown', async () => {
  const readStatistics = async () => {
    const { rows } = await sql<{ rows: number; isAnalyzed: boolean }>`
      SELECT n_live_tup AS rows, last_analyze IS NOT NULL AND n_mod_since_analyze = 0 AS "isAnalyzed"
      FROM pg_stat_user_tables WHERE relname = 'request_counts'`.execute(database.sql);
    return rows[0];
  };
  await database.runScript('DELETE FROM request_counts; ANALYZE request_counts');
  await database.runScript(
    "INSERT INTO request_counts SELECT 1, 'bucket ' || n, 1 FROM generate_series(1, 300) AS n",
  );
  await database.runScript('SELECT pg_stat_force_next_flush()');
  expect(await readStatistics()).toMatchObject({ isAnalyzed: false });
  await installation.analyzeGrownTables();
  expect(await readStatistics()).toMatchObject({ isAnalyzed: true });
});
