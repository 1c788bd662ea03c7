import { expect, test } from 'vitest';
import { makeAssertFreeSpace } from '../../src/storage/free-space.ts';
import { makeLocalStorage } from '../../src/storage/local.ts';
import { makeTestFolder } from '../support/inner/folders.ts';

test('accepts new files while there is enough space', async () => {
  const storage = await makeLocalStorage(await makeTestFolder());
  await expect(makeAssertFreeSpace(storage, 1)()).resolves.toBeUndefined();
});

test('rejects new files on a nearly full disk and reports the free and the required space', async () => {
  const storage = await makeLocalStorage(await makeTestFolder());
  const requiredBytes = (await storage.freeBytes()) + 2 ** 40;
  await expect(makeAssertFreeSpace(storage, requiredBytes)()).rejects.toMatchObject({
    code: 'storage_full',
    message: expect.stringMatching(/has \d+ MiB left, but uploads need at least \d+ MiB/) as string,
  });
});
