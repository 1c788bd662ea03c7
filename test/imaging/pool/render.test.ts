import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { recipeHash } from '../../../src/imaging/renditions/recipe.ts';
import { makePreset, renditionFormats, type Variant } from '../../../src/model/preset.ts';
import { limits, variants } from '../fixtures/pictures.ts';
import { inputPath, makeDeriveRequest, makePictureFolder, makeTestPool } from './setup.ts';

const preset = makePreset({
  name: 'square',
  width: 120,
  height: 120,
  fit: 'cover',
  formats: ['jpeg', 'webp', 'avif', 'png'],
  densities: [1, 2],
});
const allVariants: readonly Variant[] = [1, 2].flatMap((density) =>
  renditionFormats.map((format) => ({ preset, format, density })),
);

test('renders variants into files, in the order of the request', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg');
  const focalPoint = { x: 0.1, y: 0.5 };
  const { facts, renditions } = await pool.render({
    path: join(folder, 'good.jpg'),
    limits,
    variants: allVariants,
    focalPoint,
    outputDirectory: folder,
    priority: 0,
  });
  expect(facts).toMatchObject({ width: 300, height: 200 });
  expect(renditions).toHaveLength(allVariants.length);
  for (const [index, file] of renditions.entries()) {
    const variant = allVariants[index]!;
    const bytes = await readFile(file.path);
    // At density 2, the box would be 240 pixels high, but the picture has only 200.
    const side = variant.density === 1 ? 120 : 200;
    expect(file).toEqual({
      preset: 'square',
      format: variant.format,
      density: variant.density,
      recipe: recipeHash(variant, focalPoint),
      path: file.path,
      width: side,
      height: side,
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
    const metadata = await sharp(bytes).metadata();
    expect(metadata).toMatchObject({ width: side, height: side });
    expect(metadata.format === 'heif' ? 'avif' : metadata.format).toBe(variant.format);
  }
});

test('accepts trimmed, animated and enlarged renditions from a child', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder();
  const path = join(folder, 'disc.png');
  await sharp({ create: { width: 90, height: 60, channels: 3, background: '#ffffff' } })
    .composite([
      {
        input: { create: { width: 20, height: 20, channels: 3, background: '#a01020' } },
        left: 50,
        top: 5,
      },
    ])
    .png()
    .toFile(path);
  const trimmed = makePreset({
    name: 'trimmed',
    width: 80,
    height: 50,
    fit: 'inside',
    trim: { tolerance: 10, margin: 0 },
    enlarge: true,
  });
  const moving = makePreset({ name: 'moving', width: 40, height: 40, animation: 'keep' });
  const request = { limits, outputDirectory: folder, priority: 0 };
  const { renditions } = await pool.render({
    ...request,
    path,
    variants: [{ preset: trimmed, format: 'png', density: 1 }],
  });
  expect(renditions[0]).toMatchObject({ width: 50, height: 50 });
  const gifPath = join(folder, 'moving.gif');
  const frames = Buffer.concat([Buffer.alloc(64 * 64 * 3, 0), Buffer.alloc(64 * 64 * 3, 255)]);
  await sharp(frames, { raw: { width: 64, height: 128, channels: 3, pageHeight: 64 } })
    .gif()
    .toFile(gifPath);
  const animated = await pool.render({
    ...request,
    path: gifPath,
    variants: [{ preset: moving, format: 'webp', density: 1 }],
  });
  const file = await readFile(animated.renditions[0]!.path);
  expect(await sharp(file, { animated: true }).metadata()).toMatchObject({ pages: 2 });
});

test('leaves no files behind if rendering fails', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg');
  const request = { limits, variants: allVariants, priority: 0 };
  await expect(
    pool.render({ ...request, path: inputPath(folder, 'crash-1.jpg'), outputDirectory: folder }),
  ).rejects.toMatchObject({ code: 'decoder_crashed' });
  await expect(
    pool.render({ ...request, path: join(folder, 'good.jpg'), outputDirectory: join(folder, 'missing') }),
  ).rejects.toMatchObject({ code: 'storage_failed' });
  expect(await readdir(folder)).toEqual(['crash-1.jpg', 'good.jpg']);
});

test('reports whether the original has metadata that renditions keep', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg');
  const path = join(folder, 'tagged.jpg');
  await sharp(await readFile(join(folder, 'good.jpg')))
    .withExif({ IFD0: { Copyright: 'Example' } })
    .toFile(path);
  expect((await pool.derive(makeDeriveRequest(folder, 'good.jpg'))).keptMetadata).toBe('');
  const tagged = await pool.derive(makeDeriveRequest(folder, 'tagged.jpg'));
  expect(tagged.keptMetadata).toMatch(/^[0-9a-f]{64}$/);
  // The same without renditions at intake.
  const bare = await pool.derive(makeDeriveRequest(folder, 'tagged.jpg', { variants: [] }));
  expect(bare).toMatchObject({ keptMetadata: tagged.keptMetadata, renditions: [] });
});

test('a burst of renderings does not stop intake, nor the reverse', async () => {
  const pool = makeTestPool();
  const folder = await makePictureFolder('good.jpg');
  const order: string[] = [];
  const record = async (name: string, result: Promise<unknown>) => {
    await result;
    order.push(name);
  };
  const render = (name: string) =>
    pool.render({ path: inputPath(folder, name), limits, variants, outputDirectory: folder, priority: 10 });
  const running = record('first', pool.describe({ path: join(folder, 'good.jpg'), limits, priority: 0 }));
  const renderings = Array.from({ length: 6 }, () => record('delivery', render('good.jpg')));
  const derivations = [1, 2].map(() =>
    record('intake', pool.derive(makeDeriveRequest(folder, 'good.jpg', { priority: 100 }))),
  );
  await Promise.all([running, ...renderings, ...derivations]);
  expect(order.slice(0, 5)).toEqual(['first', 'delivery', 'intake', 'delivery', 'intake']);
});
