import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { AppError } from '../../src/errors.ts';
import { makeStorageHealth, type StorageHealthTimes } from '../../src/services/storage-health.ts';
import { makeLocalStorage } from '../../src/storage/local.ts';
import { makeTestFolder } from '../support/inner/folders.ts';

/** Creates health checks for local storage, and counts their probes and writes. `setWriteError` makes the write check fail. */
async function setUp(times: Partial<StorageHealthTimes> = {}) {
  const storage = await makeLocalStorage(await makeTestFolder());
  const counts = { probes: 0, writes: 0 };
  let writeError: AppError | undefined;
  const health = makeStorageHealth({
    storage: {
      probe: async () => {
        counts.probes += 1;
        await storage.probe();
      },
      check: async () => {
        counts.writes += 1;
        if (writeError) throw writeError;
        await storage.check();
      },
    },
    times: { readResultMs: 60_000, writeIntervalMs: 60_000, writeRetryMs: 60_000, ...times },
  });
  onTestFinished(() => health.stop());
  const setWriteError = (message: string | undefined) => {
    writeError = message === undefined ? undefined : new AppError('storage_full', message);
  };
  return { storage, counts, health, setWriteError };
}

test('writes once and probes once for a thousand concurrent requests', async () => {
  const { counts, health, storage } = await setUp();
  await Promise.all(Array.from({ length: 1_000 }, () => health.assert()));
  await health.assert();
  expect(counts).toEqual({ probes: 1, writes: 1 });
  expect(await readdir(storage.stagingDirectory)).toEqual([]);
});

test('writes only on schedule after the health checks are started, and detects full storage', async () => {
  const { counts, health, setWriteError } = await setUp({
    writeIntervalMs: 20,
    writeRetryMs: 10,
    readResultMs: 5,
  });
  health.start();
  await health.assert();
  setWriteError('The disk is full.');
  await expect
    .poll(() => health.assert().catch((error: unknown) => String(error)))
    .toMatch(/The disk is full\./);
  setWriteError(undefined);
  await expect.poll(() => health.assert().catch((error: unknown) => error)).toBeUndefined();
  expect(counts.writes).toBeGreaterThan(2);
});

test('repeats the check sooner after a failure than after a success', async () => {
  const { counts, health, setWriteError } = await setUp({ writeRetryMs: 1 });
  setWriteError('The disk is full.');
  await expect(health.assert()).rejects.toThrow('The disk is full.');
  setWriteError(undefined);
  await expect.poll(() => health.assert().catch((error: unknown) => error)).toBeUndefined();
  await health.assert();
  expect(counts.writes).toBe(2);
});

test('detects an unusable staging folder without writing', async () => {
  const { health, storage } = await setUp({ readResultMs: 0 });
  await health.assert();
  // The test replaces the folder with a file, because file permissions have no effect for root.
  await rename(storage.stagingDirectory, `${storage.stagingDirectory}.away`);
  await writeFile(storage.stagingDirectory, '');
  await expect(health.assert()).rejects.toMatchObject({ code: 'storage_failed' });
  await rm(storage.stagingDirectory);
  await rename(`${storage.stagingDirectory}.away`, storage.stagingDirectory);
  await health.assert();
});
