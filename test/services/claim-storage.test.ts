import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { makeInstallationQueries } from '../../src/db/installation.ts';
import { StartupError } from '../../src/errors.ts';
import { makeClaimStorage } from '../../src/services/claim-storage.ts';
import { makeLocalStorage } from '../../src/storage/local.ts';
import { makeStaging } from '../../src/storage/staging.ts';
import { openTestDatabase, useDatabase } from '../support/inner/database.ts';
import { testFolder } from '../support/inner/folders.ts';
import { recordingLogger } from '../support/inner/logger.ts';
import type { Database } from '../../src/db/database.ts';

const database = await useDatabase();
beforeEach(() => database.runScript('UPDATE installation SET storage_marked_at = NULL'));

/** Claims the storage in `folder`, as every process does when it starts. */
async function start(folder: string, onDatabase: Database = database): Promise<void> {
  const storage = await makeLocalStorage(folder);
  const staging = makeStaging(storage.stagingDirectory);
  await makeClaimStorage({
    installation: makeInstallationQueries(onDatabase),
    storage,
    staging,
    logger: recordingLogger(),
  })();
}

test('marks the storage on the first start, and recognises it on later starts', async () => {
  const folder = await testFolder();
  await start(folder);
  await start(folder);
  const { id } = await makeInstallationQueries(database).find();
  expect((await (await makeLocalStorage(folder)).readAll('installation/id')).toString()).toBe(id);
});

test('marks the storage once when many processes start at the same time', async () => {
  const folder = await testFolder();
  await Promise.all(Array.from({ length: 10 }, () => start(folder)));
  await start(folder);
});

test('does not start with a different or unmounted folder, and suggests a fix', async () => {
  const folder = await testFolder();
  await start(folder);
  await expect(start(await testFolder())).rejects.toThrow(StartupError);
  await rm(join(folder, 'installation'), { recursive: true });
  await expect(start(folder)).rejects.toThrow(
    /does not contain the images of this database: .* STORAGE_PATH, S3_BUCKET and S3_PREFIX are correct/,
  );
});

test('does not start with storage that belongs to a different database', async () => {
  const folder = await testFolder();
  await start(folder);
  const otherDatabase = await openTestDatabase();
  await expect(start(folder, otherDatabase)).rejects.toThrow(/belongs to a different database/);
});
