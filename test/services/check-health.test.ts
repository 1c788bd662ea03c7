import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openEmbeddedDatabase } from '../../src/db/embedded.ts';
import { makeSweepQueries } from '../../src/db/sweeping.ts';
import { makeCheckHealth } from '../../src/services/check-health.ts';
import { makeLocalStorage } from '../../src/storage/local.ts';
import { testFolder } from '../support/inner/folders.ts';
import { keepingLogger } from '../support/inner/logger.ts';
import { copyTemplate } from '../support/inner/template-database.ts';

test('health is that of the database and of the storage, each by itself', async () => {
  const folder = await testFolder();
  await copyTemplate(join(folder, 'db'));
  const database = await openEmbeddedDatabase(join(folder, 'db'));
  const storage = await makeLocalStorage(join(folder, 'storage'));
  const logger = keepingLogger();
  const check = makeCheckHealth({ sweeping: makeSweepQueries(database), storage, logger });
  const healthy = [
    { name: 'database', error: undefined },
    { name: 'storage', error: undefined },
  ];
  expect(await check()).toEqual(healthy);
  await rm(storage.stagingDirectory, { recursive: true });
  await writeFile(storage.stagingDirectory, 'a file in the place of the folder');
  expect(await check()).toEqual([
    healthy[0],
    { name: 'storage', error: 'The storage did not do its work (ENOTDIR).' },
  ]);
  await database.close();
  const [sick] = await check();
  expect(sick?.error).toBe('Something went wrong on our side; the log has the details.');
  expect(logger.messages('error')).toContain('the database is not healthy');
});
