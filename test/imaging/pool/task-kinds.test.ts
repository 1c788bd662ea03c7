import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { DecoderPool } from '../../../src/imaging/pool/decoder-pool.ts';
import { limits, presets } from '../fixtures/pictures.ts';
import { derivation, faultyPath, faultyPool, pictureFolder } from './setup.ts';
import { timeScale } from '../../support/time-scale.ts';

type Request = (pool: DecoderPool, folder: string, name: string, signal?: AbortSignal) => Promise<unknown>;

const base = (folder: string, name: string, signal?: AbortSignal) => ({
  path: faultyPath(folder, name),
  limits,
  priority: 0,
  ...(signal && { signal }),
});
const kinds: ReadonlyArray<readonly [string, Request]> = [
  ['describe', (pool, folder, name, signal) => pool.describe(base(folder, name, signal))],
  [
    'compare',
    (pool, folder, name, signal) =>
      pool.compare({
        ...base(folder, name, signal),
        others: [{ name: 'a', path: join(folder, 'good.jpg') }],
      }),
  ],
  [
    'matchRenditions',
    (pool, folder, name, signal) => {
      const stored = { storedPath: faultyPath(folder, name), storedSha256: '' };
      const pair = { preset: 'card', path: join(folder, 'good.jpg'), width: 300, height: 200, ...stored };
      return pool.matchRenditions({ pairs: [pair], priority: 0, ...(signal && { signal }) });
    },
  ],
  ['tryPresets', (pool, folder, name, signal) => pool.tryPresets({ ...base(folder, name, signal), presets })],
];

test('describes a picture alike when deriving and when only describing', async () => {
  const pool = faultyPool();
  const folder = await pictureFolder('good.jpg');
  const { fingerprint, embedding } = await pool.derive(derivation(folder, 'good.jpg'));
  const tiny = [{ name: 'tiny', width: 20, height: 20, quality: 85 }];
  const small = await pool.derive(derivation(folder, 'good.jpg', { presets: tiny }));
  const described = await pool.describe(base(folder, 'good.jpg'));
  expect(described).toEqual({ facts: small.facts, fingerprint, embedding });
  expect(small).toMatchObject({ fingerprint, embedding });
});

test('leaves no file after comparing or trying presets', async () => {
  const pool = faultyPool();
  const folder = await pictureFolder('good.jpg');
  const others = [{ name: 'itself', path: join(folder, 'good.jpg') }];
  const { comparisons } = await pool.compare({ ...base(folder, 'good.jpg'), others });
  expect(comparisons).toEqual([
    { name: 'itself', psnr: 100, ssim: 1, hashDistance: 0, width: 300, height: 200 },
  ]);
  const { results } = await pool.tryPresets({ ...base(folder, 'good.jpg'), presets });
  expect(results.map(({ preset }) => preset)).toEqual(['thumb', 'card', 'zoom']);
  expect(await readdir(folder)).toEqual(['good.jpg']);
});

test.each(kinds)('%s: kills only one child if a task hangs', async (_, request) => {
  const pool = faultyPool({ timeoutMs: 500 * timeScale });
  const folder = await pictureFolder('good.jpg');
  await expect(request(pool, folder, 'hang-1.jpg')).rejects.toMatchObject({
    code: 'decoder_crashed',
    message: expect.stringMatching(/took longer than [\d.]+ s/) as string,
  });
  await request(pool, folder, 'good.jpg');
  expect(pool.stats()).toMatchObject({ timeouts: 1, crashes: 0 });
});

test.each(kinds)('%s: rejects on a crash, a missing file and an abort', async (_, request) => {
  const pool = faultyPool();
  const folder = await pictureFolder('good.jpg');
  await expect(request(pool, folder, 'crash-1.jpg')).rejects.toMatchObject({ code: 'decoder_crashed' });
  await expect(request(pool, folder, 'none.jpg')).rejects.toMatchObject({ code: 'storage_failed' });
  const aborted = AbortSignal.abort(new Error('no longer wanted'));
  await expect(request(pool, folder, 'good.jpg', aborted)).rejects.toThrow('no longer wanted');
});
