import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { AppError } from '../../src/errors.ts';
import { makeStorageHealth, type StorageHealthTimes } from '../../src/services/storage-health.ts';
import { makeLocalStorage } from '../../src/storage/local.ts';
import { testFolder } from '../support/inner/folders.ts';

/** A real storage that counts calls and that a test can break. */
async function begin(times: Partial<StorageHealthTimes> = {}) {
  const storage = await makeLocalStorage(await testFolder());
  const counts = { probes: 0, writes: 0 };
  let fault: AppError | undefined;
  const health = makeStorageHealth({
    storage: {
      probe: async () => {
        counts.probes += 1;
        await storage.probe();
      },
      check: async () => {
        counts.writes += 1;
        if (fault) throw fault;
        await storage.check();
      },
    },
    times: { readResultMs: 60_000, writeIntervalMs: 60_000, writeRetryMs: 60_000, ...times },
  });
  onTestFinished(() => health.stop());
  const fail = (sentence: string | undefined) => {
    fault = sentence === undefined ? undefined : new AppError('storage_full', sentence);
  };
  return { storage, counts, health, fail };
}

test('writes once and reads once for a thousand concurrent requests', async () => {
  const { counts, health, storage } = await begin();
  await Promise.all(Array.from({ length: 1_000 }, () => health.assert()));
  await health.assert();
  expect(counts).toEqual({ probes: 1, writes: 1 });
  expect(await readdir(storage.stagingDirectory)).toEqual([]);
});

test('writes only on the schedule once it is started, and notices a full storage without requests', async () => {
  const { counts, health, fail } = await begin({ writeIntervalMs: 20, writeRetryMs: 10, readResultMs: 5 });
  health.start();
  await health.assert();
  fail('The disk is full.');
  await expect
    .poll(() => health.assert().catch((error: unknown) => String(error)))
    .toMatch(/The disk is full\./);
  fail(undefined);
  await expect.poll(() => health.assert().catch((error: unknown) => error)).toBeUndefined();
  expect(counts.writes).toBeGreaterThan(2);
});

test('repeats a check sooner after a failure than after a success', async () => {
  const { counts, health, fail } = await begin({ writeRetryMs: 1 });
  fail('The disk is full.');
  await expect(health.assert()).rejects.toThrow('The disk is full.');
  fail(undefined);
  await expect.poll(() => health.assert().catch((error: unknown) => error)).toBeUndefined();
  await health.assert();
  expect(counts.writes).toBe(2);
});

test('detects an unusable staging folder without writing', async () => {
  const { health, storage } = await begin({ readResultMs: 0 });
  await health.assert();
  // Not by its mode: root may write anywhere.
  await rename(storage.stagingDirectory, `${storage.stagingDirectory}.away`);
  await writeFile(storage.stagingDirectory, '');
  await expect(health.assert()).rejects.toMatchObject({ code: 'storage_failed' });
  await rm(storage.stagingDirectory);
  await rename(`${storage.stagingDirectory}.away`, storage.stagingDirectory);
  await health.assert();
});
