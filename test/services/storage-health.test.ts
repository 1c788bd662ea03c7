import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { AppError } from '../../src/errors.ts';
import { makeStorageHealth, type StorageHealthTimes } from '../../src/services/storage-health.ts';
import { makeLocalStorage } from '../../src/storage/local.ts';
import { testFolder } from '../support/inner/folders.ts';

/** Health checks over a real storage. Counts the calls; a test can make the write check fail. */
async function setUp(times: Partial<StorageHealthTimes> = {}) {
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
  const fail = (message: string | undefined) => {
    fault = message === undefined ? undefined : new AppError('storage_full', message);
  };
  return { storage, counts, health, fail };
}

test('writes once and probes once for a thousand concurrent requests', async () => {
  const { counts, health, storage } = await setUp();
  await Promise.all(Array.from({ length: 1_000 }, () => health.assert()));
  await health.assert();
  expect(counts).toEqual({ probes: 1, writes: 1 });
  expect(await readdir(storage.stagingDirectory)).toEqual([]);
});

test('writes only on schedule once started, and notices full storage without any request', async () => {
  const { counts, health, fail } = await setUp({ writeIntervalMs: 20, writeRetryMs: 10, readResultMs: 5 });
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

test('repeats the check sooner after a failure than after a success', async () => {
  const { counts, health, fail } = await setUp({ writeRetryMs: 1 });
  fail('The disk is full.');
  await expect(health.assert()).rejects.toThrow('The disk is full.');
  fail(undefined);
  await expect.poll(() => health.assert().catch((error: unknown) => error)).toBeUndefined();
  await health.assert();
  expect(counts.writes).toBe(2);
});

test('detects an unusable staging folder without writing', async () => {
  const { health, storage } = await setUp({ readResultMs: 0 });
  await health.assert();
  // Permissions would not do: root may write anywhere.
  await rename(storage.stagingDirectory, `${storage.stagingDirectory}.away`);
  await writeFile(storage.stagingDirectory, '');
  await expect(health.assert()).rejects.toMatchObject({ code: 'storage_failed' });
  await rm(storage.stagingDirectory);
  await rename(`${storage.stagingDirectory}.away`, storage.stagingDirectory);
  await health.assert();
});
