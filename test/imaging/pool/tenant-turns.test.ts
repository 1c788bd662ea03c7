import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeRestrainedTenants } from '../../../src/imaging/pool/restrained-tenants.ts';
import { limits } from '../fixtures/pictures.ts';
import { derivation, faultyPath, faultyPool, pictureFolder } from './setup.ts';
import { timeScale } from '../../support/time-scale.ts';

test("a tenant's long line does not hold up another tenant's picture", async () => {
  const pool = faultyPool();
  const folder = await pictureFolder('good.jpg');
  const order: string[] = [];
  const derive = async (tenant: number, label: string) => {
    await pool.derive(derivation(folder, 'good.jpg', { tenant }));
    order.push(label);
  };
  await Promise.all([...['a1', 'a2', 'a3', 'a4'].map((label) => derive(1, label)), derive(2, 'b1')]);
  expect(order).toEqual(['a1', 'b1', 'a2', 'a3', 'a4']);
});

test('a tenant whose file killed a child holds one place, and others keep the rest', async () => {
  const pool = faultyPool({ size: 2, timeoutMs: 60_000 });
  const folder = await pictureFolder('good.jpg');
  await expect(pool.derive(derivation(folder, 'crash-1.jpg', { tenant: 1 }))).rejects.toThrow('crashed');
  const { signal, abort } = abortable();
  const hangs = ['hang-1.jpg', 'hang-2.jpg', 'hang-3.jpg'].map((name) =>
    pool.derive(derivation(folder, name, { tenant: 1, signal })),
  );
  const outcomes = Promise.allSettled(hangs);
  // Would wait for ever, if the hanging files had both children.
  for (let count = 0; count < 3; count++) await pool.derive(derivation(folder, 'good.jpg', { tenant: 2 }));
  expect(pool.stats()).toMatchObject({ busy: 1, waiting: 2 });
  abort();
  await outcomes;
});

test('a probe that hangs is stopped by its own limit and holds up no other probe', async () => {
  const pool = faultyPool({ probeTimeoutMs: 500 * timeScale });
  const folder = await pictureFolder('good.jpg');
  const good = { path: join(folder, 'good.jpg'), limits, tenant: 2 };
  await pool.probe(good);
  const hang = pool.probe({ path: faultyPath(folder, 'hang-1.jpg'), limits, tenant: 1 });
  const first = await Promise.race([hang.catch(() => 'hang'), pool.probe(good).then(() => 'good')]);
  expect(first).toBe('good');
  await expect(hang).rejects.toMatchObject({
    code: 'decoder_crashed',
    message: `Reading the picture's header took longer than ${timeScale / 2} s and was stopped.`,
  });
});

test('the second place for probes is there while it is needed, and gives its memory back', {
  tags: 'slow',
}, async () => {
  const pool = faultyPool();
  const folder = await pictureFolder('good.jpg');
  const good = { path: join(folder, 'good.jpg'), limits };
  await pool.probe(good);
  const resting = pool.stats().size;
  await Promise.all(Array.from({ length: 20 }, () => pool.probe(good)));
  expect(pool.stats()).toMatchObject({ size: resting + 1, crashes: 0 });
  await expect.poll(() => pool.stats(), { interval: 250 }).toMatchObject({ size: resting, recycled: 0 });
  await Promise.all(Array.from({ length: 20 }, () => pool.probe(good)));
  expect(pool.stats()).toMatchObject({ size: resting + 1, crashes: 0 });
});

test('a restraint ends after a minute', () => {
  let now = 0;
  const restrained = makeRestrainedTenants(() => now);
  expect(restrained.isRestrained(7)).toBe(false);
  restrained.restrain(7);
  now = 59_999;
  expect([restrained.isRestrained(7), restrained.isRestrained(8)]).toEqual([true, false]);
  now = 60_000;
  expect(restrained.isRestrained(7)).toBe(false);
});

function abortable() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort(new Error('no longer wanted')) };
}
