import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { recipeHash } from '../../../src/imaging/renditions/recipe.ts';
import { limits, presets } from '../fixtures/pictures.ts';
import { childModule, makeDeriveRequest, inputPath, makeTestPool, makePictureFolder } from './setup.ts';
import { waitTimeoutMs, timeScale } from '../../support/time-scale.ts';
import { listedVariant } from '../../../src/model/preset.ts';

test('derives renditions into files', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg');
  const { facts, renditions } = await pool.derive(makeDeriveRequest(folder, 'good.jpg'));
  expect(facts).toMatchObject({ format: 'jpeg', width: 300, height: 200, frames: 1, colorSpace: 'RGB' });
  const sizes = Object.fromEntries(renditions.map((r) => [r.preset, `${r.width}×${r.height}`]));
  expect(sizes).toEqual({ thumb: '100×67', card: '300×200', zoom: '300×200' });
  for (const rendition of renditions) {
    const file = await readFile(rendition.path);
    expect(rendition.bytes).toBe(file.length);
    expect(rendition.sha256).toBe(createHash('sha256').update(file).digest('hex'));
    expect(rendition.recipe).toBe(
      recipeHash(listedVariant(presets.find((preset) => preset.name === rendition.preset)!), null),
    );
  }
});

test('probes a picture from its header', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg');
  await expect(pool.probe({ path: join(folder, 'good.jpg'), limits })).resolves.toMatchObject({ width: 300 });
  await expect(
    pool.probe({ path: join(folder, 'good.jpg'), limits: { ...limits, maxPixels: 59_999 } }),
  ).rejects.toMatchObject({ name: 'AppError', code: 'picture_too_large', failureClass: 'permanent' });
});

test("logs the image library's message, but does not include it in the error", async () => {
  const logInfo = vi.fn();
  const ignore = () => undefined;
  const pool = makeTestPool({ logger: { debug: ignore, info: logInfo, warn: ignore, error: ignore } });
  const folder = await makePictureFolder('good.jpg');
  const completeFile = await readFile(join(folder, 'good.jpg'));
  await writeFile(join(folder, 'truncated.jpg'), completeFile.subarray(0, completeFile.length / 2));
  await expect(pool.derive(makeDeriveRequest(folder, 'truncated.jpg'))).rejects.toMatchObject({
    code: 'picture_cut',
    message: 'The JPEG image is truncated: the file ends too early.',
  });
  const cause = 'VipsJpeg: premature end of JPEG image';
  expect(logInfo).toHaveBeenCalledWith({ code: 'picture_cut', cause }, 'A decoder child reported an error');
});

test('rejects a missing file with storage_failed', async () => {
  const folder = await makePictureFolder();
  await expect(makeTestPool().derive(makeDeriveRequest(folder, 'none.jpg'))).rejects.toMatchObject({
    code: 'storage_failed',
  });
});

test('leaves no files behind if a derivation fails', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg');
  const outputDirectory = join(folder, 'missing');
  await expect(pool.derive(makeDeriveRequest(folder, 'good.jpg', { outputDirectory }))).rejects.toMatchObject(
    {
      code: 'storage_failed',
    },
  );
  expect(await readdir(folder)).toEqual(['good.jpg']);
});

test.each([
  ['crash', /crashed on this image \(SIGABRT\)/, { crashes: 1 }],
  ['exit', /crashed on this image \(exit code 3\)/, { crashes: 1 }],
  ['hang', /took longer than [\d.]+ s/, { timeouts: 1 }],
  ['leak', /MB of memory; the limit is 400 MB/, { memoryKills: 1 }],
])('limits the effects of the fault "%s" to one child and one picture', async (fault, message, counts) => {
  const timeoutMs = fault === 'hang' ? 250 * timeScale : 60_000;
  const pool = makeTestPool({ timeoutMs, memoryMb: 400 });
  const folder = await makePictureFolder('good.jpg');
  const failingRequest = pool.derive(makeDeriveRequest(folder, `${fault}-1.jpg`));
  const nextRequest = pool.derive(makeDeriveRequest(folder, 'good.jpg'));
  await expect(failingRequest).rejects.toMatchObject({
    code: 'decoder_crashed',
    failureClass: 'crash',
    message: expect.stringMatching(message) as string,
  });
  expect((await nextRequest).renditions).toHaveLength(3);
  expect(pool.stats()).toMatchObject(counts);
});

test('rejects only the probe that crashes its child', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg');
  const outcomes = await Promise.allSettled(
    ['good.jpg', 'crash-1.jpg', 'good.jpg'].map((name) =>
      pool.probe({ path: inputPath(folder, name), limits }),
    ),
  );
  expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('runs probes while derivations are running', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg', 'slow-1.jpg');
  await pool.probe({ path: join(folder, 'good.jpg'), limits });
  const slowDerivation = pool.derive(makeDeriveRequest(folder, 'slow-1.jpg'));
  const firstResult = await Promise.race([
    slowDerivation.then(() => 'derivation'),
    pool.probe({ path: join(folder, 'good.jpg'), limits }).then(() => 'probe'),
  ]);
  expect(firstResult).toBe('probe');
  await slowDerivation;
});

test('runs requests in order of priority, and in order of arrival within each priority', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg', 'slow-1.jpg');
  const completionOrder: string[] = [];
  const derive = async (name: string, priority: number, label: string) => {
    await pool.derive(makeDeriveRequest(folder, name, { priority }));
    completionOrder.push(label);
  };
  await Promise.all([
    derive('slow-1.jpg', 9, 'lowest'),
    derive('good.jpg', 5, 'middle'),
    derive('good.jpg', 1, 'highest, first'),
    derive('good.jpg', 1, 'highest, second'),
  ]);
  // Nothing runs before the child is ready, so the first request also waits in the queue.
  expect(completionOrder).toEqual(['highest, first', 'highest, second', 'middle', 'lowest']);
});

test('replaces each child after its maximum number of tasks, once the next child is ready', async () => {
  const pool = makeTestPool({ maxTasksPerChild: 3 });
  const folder = await makePictureFolder('good.jpg');
  const deriveAll = (count: number) =>
    Promise.all(Array.from({ length: count }, () => pool.derive(makeDeriveRequest(folder, 'good.jpg'))));
  const untilRecycled = (recycled: number) =>
    expect.poll(() => pool.stats(), { interval: 20, timeout: 10_000 }).toMatchObject({ recycled });
  await deriveAll(3);
  // Starting a child takes far longer than deriving from this picture, and no task waits for it.
  await deriveAll(2);
  expect(pool.stats()).toMatchObject({ recycled: 0, size: 1, alive: 1 });
  await untilRecycled(1);
  await deriveAll(3);
  await untilRecycled(2);
  expect(pool.stats()).toMatchObject({ size: 1, alive: 1, crashes: 0, waiting: 0 });
});

test('removes an aborted request from the queue', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg', 'slow-1.jpg');
  const controller = new AbortController();
  const runningRequest = pool.derive(makeDeriveRequest(folder, 'slow-1.jpg'));
  const waitingRequest = pool.derive(makeDeriveRequest(folder, 'good.jpg', { signal: controller.signal }));
  controller.abort(new Error('aborted'));
  await expect(waitingRequest).rejects.toThrow('aborted');
  await runningRequest;
  expect(pool.stats()).toMatchObject({ crashes: 0, waiting: 0 });
});

test('kills the child if a running request is aborted', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg');
  const controller = new AbortController();
  const runningRequest = pool.derive(makeDeriveRequest(folder, 'hang-1.jpg', { signal: controller.signal }));
  await vi.waitFor(() => expect(pool.stats().busy).toBe(1), waitTimeoutMs);
  controller.abort(new Error('aborted'));
  await expect(runningRequest).rejects.toThrow('aborted');
  await pool.derive(makeDeriveRequest(folder, 'good.jpg'));
  expect(pool.stats()).toMatchObject({ crashes: 0, timeouts: 0 });
  const abortedRequest = makeDeriveRequest(folder, 'good.jpg', {
    signal: AbortSignal.abort(new Error('before')),
  });
  await expect(pool.derive(abortedRequest)).rejects.toThrow('before');
});

test('rejects running and queued requests on close', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg');
  const requests = [
    pool.derive(makeDeriveRequest(folder, 'hang-1.jpg')),
    pool.derive(makeDeriveRequest(folder, 'good.jpg')),
  ];
  const outcomes = Promise.allSettled(requests);
  await vi.waitFor(() => expect(pool.stats().busy).toBe(1), waitTimeoutMs);
  await pool.close();
  for (const outcome of await outcomes) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
  }
  await expect(pool.derive(makeDeriveRequest(folder, 'good.jpg'))).rejects.toMatchObject({
    code: 'unavailable',
  });
  expect(pool.stats()).toMatchObject({ alive: 0, busy: 0 });
});

test('says that a child did not start in time', async () => {
  const logError = vi.fn<(details: object, message: string) => void>();
  const ignore = () => undefined;
  const logger = { debug: ignore, info: ignore, warn: ignore, error: logError };
  const pool = makeTestPool({ childModule: childModule('silent-child'), logger });
  const folder = await makePictureFolder('good.jpg');
  const derivation = pool.derive(makeDeriveRequest(folder, 'good.jpg'));
  derivation.catch(() => undefined);
  await expect.poll(() => logError.mock.calls, { timeout: waitTimeoutMs }).not.toEqual([]);
  expect(logError.mock.calls[0]?.[0]).toMatchObject({ exitReason: 'did not start within 10 s' });
});

test('rejects requests quickly if no child can start, and does not restart children endlessly', async () => {
  const logError = vi.fn<(details: object, message: string) => void>();
  const ignore = () => undefined;
  const logger = { debug: ignore, info: ignore, warn: ignore, error: logError };
  const pool = makeTestPool({ childModule: childModule('exiting-child'), logger });
  const folder = await makePictureFolder('good.jpg');
  await expect(pool.derive(makeDeriveRequest(folder, 'good.jpg'))).rejects.toMatchObject({
    code: 'unavailable',
  });
  await expect(pool.derive(makeDeriveRequest(folder, 'good.jpg'))).rejects.toMatchObject({
    code: 'unavailable',
  });
  await sleep(500);
  expect(logError.mock.calls.length).toBeLessThan(8);
});
