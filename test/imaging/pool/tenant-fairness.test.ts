import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeThrottledTenants } from '../../../src/imaging/pool/scheduling.ts';
import { limits } from '../fixtures/pictures.ts';
import { makeDeriveRequest, inputPath, makeTestPool, makePictureFolder } from './setup.ts';
import { timeScale } from '../../support/time-scale.ts';

test("does not make a tenant's picture wait for all of another tenant's pictures", async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg');
  const completionOrder: string[] = [];
  const derive = async (tenant: number, label: string) => {
    await pool.derive(makeDeriveRequest(folder, 'good.jpg', { tenant }));
    completionOrder.push(label);
  };
  await Promise.all([...['a1', 'a2', 'a3', 'a4'].map((label) => derive(1, label)), derive(2, 'b1')]);
  expect(completionOrder).toEqual(['a1', 'b1', 'a2', 'a3', 'a4']);
});

test("limits a tenant to one decoder after one of the tenant's files has crashed a decoder", async () => {
  const pool = makeTestPool({ size: 2, timeoutMs: 60_000 });
  const folder = await makePictureFolder('good.jpg');
  await expect(pool.derive(makeDeriveRequest(folder, 'crash-1.jpg', { tenant: 1 }))).rejects.toThrow(
    'crashed',
  );
  const { signal, abort } = makeAbortHandle();
  const hangingRequests = ['hang-1.jpg', 'hang-2.jpg', 'hang-3.jpg'].map((name) =>
    pool.derive(makeDeriveRequest(folder, name, { tenant: 1, signal })),
  );
  const outcomes = Promise.allSettled(hangingRequests);
  // These requests would wait forever if the hanging files occupied both decoders.
  for (let count = 0; count < 3; count++)
    await pool.derive(makeDeriveRequest(folder, 'good.jpg', { tenant: 2 }));
  expect(pool.stats()).toMatchObject({ busy: 1, waiting: 2 });
  abort();
  await outcomes;
});

test('stops a hanging probe at the probe time limit, and runs other probes in the meantime', async () => {
  const pool = makeTestPool({ probeTimeoutMs: 250 * timeScale });
  const folder = await makePictureFolder('good.jpg');
  const goodRequest = { path: join(folder, 'good.jpg'), limits, tenant: 2 };
  await pool.probe(goodRequest);
  const hangingProbe = pool.probe({ path: inputPath(folder, 'hang-1.jpg'), limits, tenant: 1 });
  const firstResult = await Promise.race([
    hangingProbe.catch(() => 'hang'),
    pool.probe(goodRequest).then(() => 'good'),
  ]);
  expect(firstResult).toBe('good');
  await expect(hangingProbe).rejects.toMatchObject({
    code: 'decoder_crashed',
    message: `Reading the image's header took longer than ${timeScale / 4} s and was stopped.`,
  });
});

test('starts a second probe worker on demand, and stops it when it is idle', {
  tags: 'slow',
}, async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg');
  const goodRequest = { path: join(folder, 'good.jpg'), limits };
  await pool.probe(goodRequest);
  const idleSize = pool.stats().size;
  await Promise.all(Array.from({ length: 20 }, () => pool.probe(goodRequest)));
  expect(pool.stats()).toMatchObject({ size: idleSize + 1, crashes: 0 });
  await expect.poll(() => pool.stats(), { interval: 250 }).toMatchObject({ size: idleSize, recycled: 0 });
  await Promise.all(Array.from({ length: 20 }, () => pool.probe(goodRequest)));
  expect(pool.stats()).toMatchObject({ size: idleSize + 1, crashes: 0 });
});

test('stops throttling a tenant after a minute', () => {
  let now = 0;
  const throttledTenants = makeThrottledTenants(() => now);
  expect(throttledTenants.isThrottled(7)).toBe(false);
  throttledTenants.throttle(7);
  now = 59_999;
  expect([throttledTenants.isThrottled(7), throttledTenants.isThrottled(8)]).toEqual([true, false]);
  now = 60_000;
  expect(throttledTenants.isThrottled(7)).toBe(false);
});

function makeAbortHandle() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort(new Error('aborted')) };
}
