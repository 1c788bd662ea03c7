import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { makeInstallationQueries } from '../../src/db/installation.ts';
import { StartupError } from '../../src/errors.ts';
import { makeClaimStorage } from '../../src/services/claim-storage.ts';
import { makeLocalStorage } from '../../src/storage/local.ts';
import { makeStaging } from '../../src/storage/staging.ts';
import { openTestDatabase, useDatabase } from '../support/inner/database.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { makeRecordingLogger } from '../support/inner/logger.ts';
import type { Database } from '../../src/db/database.ts';

const database = await useDatabase();
beforeEach(() => database.runScript('UPDATE installation SET storage_marked_at = NULL'));

/** Claims a storage folder, as every process does when it starts. */
async function claimFolder(folder: string, claimingDatabase: Database = database): Promise<void> {
  const storage = await makeLocalStorage(folder);
  const staging = makeStaging(storage.stagingDirectory);
  await makeClaimStorage({
    installation: makeInstallationQueries(claimingDatabase),
    storage,
    staging,
    logger: makeRecordingLogger(),
  })();
}

test('marks the storage folder on the first start, and recognises the folder on later starts', async () => {
  const folder = await makeTestFolder();
  await claimFolder(folder);
  await claimFolder(folder);
  const { id } = await makeInstallationQueries(database).find();
  expect((await (await makeLocalStorage(folder)).readAll('installation/id')).toString()).toBe(id);
});

test('marks the storage folder once when many processes start at the same time', async () => {
  const folder = await makeTestFolder();
  await Promise.all(Array.from({ length: 10 }, () => claimFolder(folder)));
  await claimFolder(folder);
});

test('does not start with a different or unmounted folder, and suggests a fix', async () => {
  const folder = await makeTestFolder();
  await claimFolder(folder);
  await expect(claimFolder(await makeTestFolder())).rejects.toThrow(StartupError);
  await rm(join(folder, 'installation'), { recursive: true });
  await expect(claimFolder(folder)).rejects.toThrow(
    /does not contain the images of this database: .* STORAGE_PATH, S3_BUCKET and S3_PREFIX are correct/,
  );
});

test('does not start with storage that belongs to a different database', async () => {
  const folder = await makeTestFolder();
  await claimFolder(folder);
  const otherDatabase = await openTestDatabase();
  await expect(claimFolder(folder, otherDatabase)).rejects.toThrow(/belongs to a different database/);
});
