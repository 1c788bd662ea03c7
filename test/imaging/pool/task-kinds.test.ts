import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { DecoderPool } from '../../../src/imaging/pool/decoder-pool.ts';
import { limits, presets, variants } from '../fixtures/pictures.ts';
import { makeDeriveRequest, inputPath, makeTestPool, makePictureFolder } from './setup.ts';
import { timeScale } from '../../support/time-scale.ts';
import { listedVariant, makePreset } from '../../../src/model/preset.ts';

type SendRequest = (
  pool: DecoderPool,
  folder: string,
  name: string,
  signal?: AbortSignal,
) => Promise<unknown>;

const baseRequest = (folder: string, name: string, signal?: AbortSignal) => ({
  path: inputPath(folder, name),
  limits,
  priority: 0,
  ...(signal && { signal }),
});
const taskKinds: ReadonlyArray<readonly [string, SendRequest]> = [
  [
    'render',
    (pool, folder, name, signal) =>
      pool.render({ ...baseRequest(folder, name, signal), variants, outputDirectory: folder }),
  ],
  ['describe', (pool, folder, name, signal) => pool.describe(baseRequest(folder, name, signal))],
  [
    'compare',
    (pool, folder, name, signal) =>
      pool.compare({
        ...baseRequest(folder, name, signal),
        others: [{ name: 'a', path: join(folder, 'good.jpg') }],
      }),
  ],
  [
    'matchRenditions',
    (pool, folder, name, signal) => {
      const storedFile = { storedPath: inputPath(folder, name), storedSha256: '' };
      const pair = { preset: 'card', path: join(folder, 'good.jpg'), width: 300, height: 200, ...storedFile };
      return pool.matchRenditions({ pairs: [pair], priority: 0, ...(signal && { signal }) });
    },
  ],
  [
    'tryPresets',
    (pool, folder, name, signal) => pool.tryPresets({ ...baseRequest(folder, name, signal), presets }),
  ],
];

test('returns the same description of a picture with and without renditions', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg');
  const { fingerprint, embedding } = await pool.derive(makeDeriveRequest(folder, 'good.jpg'));
  const tiny = [listedVariant(makePreset({ name: 'tiny', width: 20, height: 20, quality: 85 }))];
  const smallResult = await pool.derive(makeDeriveRequest(folder, 'good.jpg', { variants: tiny }));
  const description = await pool.describe(baseRequest(folder, 'good.jpg'));
  expect(description).toEqual({ facts: smallResult.facts, fingerprint, embedding });
  expect(smallResult).toMatchObject({ fingerprint, embedding });
});

test('leaves no files behind after comparing pictures or trying presets', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg');
  const others = [{ name: 'same', path: join(folder, 'good.jpg') }];
  const { comparisons } = await pool.compare({ ...baseRequest(folder, 'good.jpg'), others });
  expect(comparisons).toEqual([
    { name: 'same', psnr: 100, ssim: 1, hashDistance: 0, width: 300, height: 200 },
  ]);
  const { results } = await pool.tryPresets({ ...baseRequest(folder, 'good.jpg'), presets });
  expect(results.map(({ preset }) => preset)).toEqual(['thumb', 'card', 'zoom']);
  expect(await readdir(folder)).toEqual(['good.jpg']);
});

test.each(taskKinds)('kills only the child of a hanging task: %s', async (_, sendRequest) => {
  const pool = makeTestPool({ timeoutMs: 250 * timeScale });
  const folder = await makePictureFolder('good.jpg');
  await expect(sendRequest(pool, folder, 'hang-1.jpg')).rejects.toMatchObject({
    code: 'decoder_crashed',
    message: expect.stringMatching(/took longer than [\d.]+ s/) as string,
  });
  await sendRequest(pool, folder, 'good.jpg');
  expect(pool.stats()).toMatchObject({ timeouts: 1, crashes: 0 });
});

test.each(taskKinds)(
  'rejects a request if its child crashes, its file is missing or it is aborted: %s',
  async (_, sendRequest) => {
    const pool = makeTestPool();
    const folder = await makePictureFolder('good.jpg');
    await expect(sendRequest(pool, folder, 'crash-1.jpg')).rejects.toMatchObject({ code: 'decoder_crashed' });
    await expect(sendRequest(pool, folder, 'none.jpg')).rejects.toMatchObject({ code: 'storage_failed' });
    const abortedSignal = AbortSignal.abort(new Error('aborted'));
    await expect(sendRequest(pool, folder, 'good.jpg', abortedSignal)).rejects.toThrow('aborted');
  },
);
