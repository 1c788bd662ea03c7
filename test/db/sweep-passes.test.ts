import { expect, test } from 'vitest';
import { makeInstallationQueries } from '../../src/db/installation.ts';
import { useDatabase } from '../support/inner/database.ts';

const database = await useDatabase();
const installation = makeInstallationQueries(database);

test('of many who want to make a pass at once, one does', async () => {
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => installation.beginPass('orphans', 3600)),
  );
  expect(answers.filter(Boolean)).toHaveLength(1);
});

test('a pass is made again when its time has come, and each one for itself', async () => {
  expect(await installation.beginPass('daily', 3600)).toBe(true);
  expect(await installation.beginPass('daily', 3600)).toBe(false);
  expect(await installation.beginPass('another', 3600)).toBe(true);
  await database.runScript("UPDATE sweep_passes SET begun_at = now() - interval '55 minutes'");
  expect(await installation.beginPass('daily', 3600)).toBe(true);
});
