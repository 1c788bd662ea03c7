import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { call } from '../support/process/client.ts';
import { makeDataFolder, removeFolder, stagedFiles } from '../support/process/data-folder.ts';
import { makeLedger } from '../support/process/ledger.ts';
import { launch } from '../support/process/server.ts';
import { isThorough } from '../support/thoroughness.ts';

interface Metrics {
  readonly status_counts: Readonly<Record<string, number>>;
}

/** For each round, the number of uploads that are acknowledged before the server is killed. */
const rounds = isThorough ? [1, 6, 3, 8, 2, 5] : [1, 6, 3];

test('keeps every acknowledged upload and deletion when the server is killed repeatedly', async () => {
  const folder = await makeDataFolder();
  onTestFinished(() => removeFolder(folder));
  const ledger = makeLedger('crash');
  for (const uploadCount of rounds) {
    const server = launch(folder);
    onTestFinished(() => server.kill9());
    const { url } = await server.ready();
    const target = ledger.acknowledged.size + uploadCount;
    const clientAbort = new AbortController();
    const clients = (['inline', 'queued', 'queued', 'inline'] as const).map(async (method, clientIndex) => {
      for (let count = 0; count < 8 && !clientAbort.signal.aborted; count += 1) {
        await ledger.upload(url, method);
        if (clientIndex === 3) await ledger.deleteOne(url);
      }
    });
    await expect.poll(() => ledger.acknowledged.size, { interval: 5 }).toBeGreaterThanOrEqual(target);
    clientAbort.abort();
    await server.kill9();
    await Promise.all(clients);
  }
  // The server is killed once more while it processes the jobs of all rounds.
  const lastServer = launch(folder);
  onTestFinished(() => lastServer.kill9());
  await lastServer.ready();
  await lastServer.kill9();
  const server = launch(folder);
  onTestFinished(() => server.kill9());
  const { url } = await server.ready();
  await ledger.check(url);
  expect(ledger.acknowledged.size).toBeGreaterThanOrEqual(
    rounds.reduce((sum, uploadCount) => sum + uploadCount),
  );
  const { completed, ...unfinished } = (await call<Metrics>(`${url}/v1/metrics`)).body.status_counts;
  expect(completed).toBeGreaterThan(0);
  expect(Object.values(unfinished).filter((count) => count > 0)).toEqual([]);
  await expect.poll(() => stagedFiles(join(folder, 'storage', '.staging'))).toEqual([]);
});
