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
