import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import { openEmbeddedDatabase } from '../../src/db/engine/embedded.ts';
import { makeQueries } from '../../src/db/queries.ts';
import { makeDecoderPool } from '../../src/imaging/pool/decoder-pool.ts';
import { embeddingDimension, embeddingSpace } from '../../src/model/fingerprint.ts';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { makeInProcessQueue } from '../../src/queue/in-process.ts';
import type { WorkQueue } from '../../src/queue/queue.ts';
import { makeRedisQueue } from '../../src/queue/redis.ts';
import type { PresetsInForce } from '../../src/services/presets-in-force.ts';
import { fixPresets } from '../support/inner/fix-presets.ts';
import { makeCheckHealth } from '../../src/services/check-health.ts';
import { makeStorageHealth } from '../../src/services/storage-health.ts';
import { makeLocalStorage } from '../../src/storage/local.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { makeFailedAttempt, claimOne, recordPending } from '../support/inner/jobs.ts';
import { makeRecordingLogger } from '../support/inner/logger.ts';
import { findFreePort } from '../support/inner/redis-server.ts';
import { makeDerivedFacts } from '../support/inner/records.ts';
import { copyTemplate } from '../support/inner/template-database.ts';

const exitingChild = fileURLToPath(new URL('../imaging/fixtures/exiting-child.ts', import.meta.url));

/** Creates health checks for real components that a test can break. */
async function makeHealthChecks(
  childModule?: string,
  queue: Pick<WorkQueue, 'kind' | 'outageReason'> = makeInProcessQueue(),
  queueResultMs = 0,
  presets: Pick<PresetsInForce, 'warning'> = fixPresets([]),
) {
  const folder = await makeTestFolder();
  await copyTemplate(join(folder, 'db'));
  const database = await openEmbeddedDatabase(join(folder, 'db'));
  onTestFinished(() => database.close().catch(() => undefined));
  const storage = await makeLocalStorage(join(folder, 'storage'));
  const logger = makeRecordingLogger();
  const pool = {
    size: 1,
    timeoutMs: 5000,
    probeTimeoutMs: 2000,
    memoryMb: 1024,
    maxTasksPerChild: 500,
    logger,
  };
  const decoders = makeDecoderPool({ ...pool, ...(childModule === undefined ? {} : { childModule }) });
  decoders.start();
  onTestFinished(() => decoders.close());
  const queries = makeQueries(database);
  const check = makeCheckHealth({
    ...queries,
    storage,
    storageHealth: makeStorageHealth({
      storage,
      times: { readResultMs: 0, writeIntervalMs: 0, writeRetryMs: 0 },
    }),
    queue,
    decoders,
    presets,
    space: { name: embeddingSpace, dimension: embeddingDimension },
    versions: { vitrine: '1.2.3' },
    exposureWarnings: ['HOST is open.'],
    logger,
    queueResultMs,
  });
  return { check, database, storage, logger, decoders, ...queries };
}

const passedChecks = ['database', 'storage', 'queue', 'decoders'].map((name) => ({ name, error: undefined }));

test('shares the queries of concurrent requests, whose number is not limited', async () => {
  const { check, reports } = await makeHealthChecks();
  const readQueueDepth = vi.spyOn(reports, 'readQueueDepth');
  const results = await Promise.all(Array.from({ length: 20 }, () => check.ready()));
  expect(results).toEqual(results.map(() => passedChecks));
  expect(readQueueDepth).toHaveBeenCalledTimes(1);
  await check.ready();
  expect(readQueueDepth).toHaveBeenCalledTimes(2);
});

test('does not count the jobs for every request', async () => {
  const { check, reports } = await makeHealthChecks(undefined, undefined, 60_000);
  const readQueueDepth = vi.spyOn(reports, 'readQueueDepth');
  for (let request = 0; request < 5; request += 1) expect(await check.ready()).toEqual(passedChecks);
  expect(readQueueDepth).toHaveBeenCalledTimes(1);
});

test('checks the database, storage, queue and decoders independently', async () => {
  const { check, database, storage, logger } = await makeHealthChecks();
  expect(await check.ready()).toEqual(passedChecks);
  await rm(storage.stagingDirectory, { recursive: true });
  await writeFile(storage.stagingDirectory, 'a file instead of the folder');
  expect(await check.ready()).toEqual([
    passedChecks[0],
    { name: 'storage', error: 'A storage operation failed (ENOTDIR).' },
    ...passedChecks.slice(2),
  ]);
  await database.close();
  const [databaseCheck, , queueCheck, decoderCheck] = await check.ready();
  expect(databaseCheck?.error).toBe('An internal error occurred; see the log for details.');
  expect(queueCheck?.error).toBeDefined();
  expect(decoderCheck).toEqual(passedChecks[3]);
  expect(logger.messages('error')).toContain('health check failed: database');
});

test('reports only the decoders as failed if the decoder processes keep exiting', async () => {
  const { check } = await makeHealthChecks(exitingChild);
  const decoderError = 'Decoder processes keep failing; see the log for details.';
  await expect
    .poll(async () => (await check.ready()).map(({ error }) => error), { timeout: 20_000, interval: 200 })
    .toEqual([undefined, undefined, undefined, decoderError]);
});

test('includes the queue, embeddings, free space and versions in the details', async () => {
  const { check, database, tenants, jobs } = await makeHealthChecks();
  const shop = await tenants.ensure('shop');
  await recordPending(database, shop.id, 'done');
  await jobs.complete(await claimOne(database), [], makeDerivedFacts('done'));
  await recordPending(database, shop.id, 'failed');
  await jobs.recordFailure(await claimOne(database), makeFailedAttempt('permanent'), { state: 'failed' });
  await recordPending(database, shop.id, 'running', { leaseSeconds: 60 });
  const { jobId } = await recordPending(database, shop.id, 'oldest');
  await database.runScript(`UPDATE jobs SET run_at = now() - interval '90 s' WHERE id = ${jobId}`);
  await recordPending(database, shop.id, 'newer');
  const details = await check.detailed(unrestrictedPrincipal);
  expect(details).toMatchObject({
    checks: passedChecks,
    database: { kind: 'embedded', version: expect.stringMatching(/^\d+\.\d+/) as string },
    queue: { kind: 'in-process', pending: 2, processing: 1, failed: 1 },
    storage: { kind: 'local' },
    embeddings: { space: embeddingSpace, dimension: embeddingDimension, count: 1 },
    versions: { vitrine: '1.2.3' },
    warnings: ['HOST is open.'],
  });
  expect(details.queue?.oldestPendingSeconds).toBeCloseTo(90, -1);
  expect(details.database?.pgvector).toMatch(/^\d+\.\d+/);
  expect(details.storage?.freeBytes).toBeGreaterThan(0);
});

test('reports no oldest job for an empty queue', async () => {
  const { check } = await makeHealthChecks();
  expect((await check.detailed(unrestrictedPrincipal)).queue).toEqual({
    kind: 'in-process',
    pending: 0,
    processing: 0,
    failed: 0,
    oldestPendingSeconds: null,
    outageReason: null,
  });
});

test('omits the details of an unavailable component, and reports the reason in its check', async () => {
  const { check, database } = await makeHealthChecks();
  await database.close();
  const details = await check.detailed(unrestrictedPrincipal);
  expect(details).toMatchObject({ database: undefined, queue: undefined, embeddings: undefined });
  expect(details.storage?.freeBytes).toBeGreaterThan(0);
  expect(details.checks[0]?.error).toBeDefined();
});

test('warns, but does not fail, if the queue cannot wake workers', async () => {
  const url = `redis://127.0.0.1:${await findFreePort()}`;
  const queue = makeRedisQueue({ url, name: 'vitrine-test', logger: makeRecordingLogger() });
  onTestFinished(() => queue.close());
  const { check } = await makeHealthChecks(undefined, queue);
  await expect.poll(() => queue.outageReason()).toContain('ECONNREFUSED');
  const details = await check.detailed(unrestrictedPrincipal);
  expect(details.queue).toMatchObject({ kind: 'redis', outageReason: queue.outageReason() });
  const checks = passedChecks.map((result) =>
    result.name === 'queue' ? { ...result, warning: queue.outageReason() } : result,
  );
  expect(details.checks).toEqual(checks);
});

test('warns, but does not fail, if the presets in force are not those of the process', async () => {
  const warning = 'This process follows the presets in force.';
  const { check } = await makeHealthChecks(undefined, undefined, 0, { warning: () => warning });
  const details = await check.detailed(unrestrictedPrincipal);
  expect(details.checks).toEqual([...passedChecks, { name: 'presets', error: undefined, warning }]);
  expect(details.warnings).toEqual(['HOST is open.', warning]);
});

test('warns about waiting jobs if no worker seems to be running', async () => {
  const { check, database, tenants } = await makeHealthChecks();
  const shop = await tenants.ensure('shop');
  const { jobId } = await recordPending(database, shop.id, 'waiting');
  expect(await check.ready()).toEqual(passedChecks);
  await database.runScript(`UPDATE jobs SET run_at = now() - interval '90 s' WHERE id = ${jobId}`);
  const queueCheck = (await check.ready()).find(({ name }) => name === 'queue');
  expect(queueCheck).toMatchObject({ error: undefined });
  expect(queueCheck?.warning).toMatch(/^1 derive job has been waiting for 9\d s\. Is a worker running\?$/);
  // A running job shows that a worker is alive, regardless of how long the queue is.
  await database.runScript(`UPDATE jobs SET run_at = now() WHERE id = ${jobId}`);
  await recordPending(database, shop.id, 'running', { leaseSeconds: 60 });
  await database.runScript(`UPDATE jobs SET run_at = now() - interval '90 s'`);
  await recordPending(database, shop.id, 'newest');
  expect(await check.ready()).toEqual(passedChecks);
});
