import { mkdir, rename, writeFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { tryModel } from '../../../../src/app/try-model.ts';
import { loadModelDescription } from '../../../../src/imaging/recognition/model/load-model-description.ts';
import { prepareInput } from '../../../../src/imaging/recognition/model/model-embedding.ts';
import {
  type ModelDescription,
  runtimePackage,
} from '../../../../src/imaging/recognition/model/model-description.ts';
import { limits } from '../../fixtures/pictures.ts';
import { buildMeanColourModel } from '../../fixtures/onnx-model.ts';
import { makePictureFolder, makeTestPool } from '../../pool/setup.ts';

const isInstalled = findRuntime();
const hint = isInstalled
  ? ''
  : ` (skipped: to run it, npm install --no-save --ignore-scripts ${runtimePackage})`;

function findRuntime(): boolean {
  try {
    return findPackageJSON(runtimePackage, import.meta.url) !== undefined;
  } catch {
    return false;
  }
}

const description = { dimension: 3, width: 16, height: 16, mean: [0, 0, 0], std: [1, 1, 1] };

/** Writes a model and its description, and returns the path of the model. */
async function writeModel(
  content: Uint8Array = buildMeanColourModel(16),
  fields: object | string = description,
): Promise<string> {
  const folder = join(await makePictureFolder(), 'model');
  await mkdir(folder);
  const path = join(folder, 'mean.onnx');
  await writeFile(path, content);
  await writeFile(join(folder, 'mean.json'), typeof fields === 'string' ? fields : JSON.stringify(fields));
  return path;
}

/** Creates a pool whose children run the usual module. */
const openPool = (model: ModelDescription) => makeTestPool({ childModule: undefined, model });

describe.skipIf(!isInstalled)(`a model${hint}`, () => {
  test('computes the embeddings of a pool', async () => {
    const model = await loadModelDescription(await writeModel());
    const pool = openPool(model);
    const folder = await makePictureFolder();
    const path = join(folder, 'orange.png');
    const background = { r: 255, g: 128, b: 0 };
    await sharp({ create: { width: 60, height: 40, channels: 3, background } })
      .png()
      .toFile(path);
    const { embedding } = await pool.describe({ path, limits, priority: 0 });
    expect(embedding.space).toBe(model.space);
    const length = Math.hypot(255, 128, 0);
    expect(embedding.vector).toEqual(
      [255, 128, 0].map((value) => expect.closeTo(value / length, 5) as number),
    );
    await tryModel(pool);
  });

  test('is refused if it cannot be loaded or does not match its description', async () => {
    const broken = openPool(await loadModelDescription(await writeModel(Buffer.from('no model'))));
    await expect(tryModel(broken)).rejects.toThrow(/^The model of EMBEDDING_MODEL failed: .*mean\.onnx/);
    const path = await writeModel(undefined, { ...description, dimension: 4 });
    const mismatched = openPool(await loadModelDescription(path));
    await expect(tryModel(mismatched)).rejects.toThrow('its output has the shape 1 × 3');
    const named = await writeModel(undefined, { ...description, output: 'pooled' });
    const unnamed = openPool(await loadModelDescription(named));
    await expect(tryModel(unnamed)).rejects.toThrow('it has no output "pooled"; it has vector');
  });

  test('has a space of its own, which depends on its content and its description', async () => {
    const { space } = await loadModelDescription(await writeModel());
    expect(space).toMatch(/^onnx-[0-9a-f]{16}$/);
    const reformatted = await writeModel(
      undefined,
      JSON.stringify({ fit: 'cover', ...description }, null, 2),
    );
    expect((await loadModelDescription(reformatted)).space).toBe(space);
    const otherDescription = await writeModel(undefined, { ...description, std: [1, 1, 0.5] });
    expect((await loadModelDescription(otherDescription)).space).not.toBe(space);
    const otherModel = await writeModel(buildMeanColourModel(32));
    expect((await loadModelDescription(otherModel)).space).not.toBe(space);
  });

  test.each([
    ['{', /mean\.json, which .* cannot be read: it is not valid JSON/],
    [{ ...description, dimension: 5_000 }, /mean\.json, which .* is invalid: dimension: Too big/],
    [{ ...description, mean: [0, 0] }, /is invalid: mean/],
    [{ ...description, std: [1, 1, 0] }, /is invalid: std\.2: Too small/],
    [{ ...description, size: 224 }, /is invalid: Unrecognized key: "size"/],
  ])('is refused with an invalid description: %j', async (fields, message) => {
    await expect(loadModelDescription(await writeModel(undefined, fields))).rejects.toThrow(message);
  });

  test('is refused if the file is missing or has another ending', async () => {
    const path = await writeModel();
    await rename(path, path.replace('mean', 'other'));
    await expect(loadModelDescription(path.replace('mean', 'other'))).rejects.toThrow(
      /other\.json, which .* cannot be read: ENOENT/,
    );
    await expect(loadModelDescription('/nowhere/model.onnx')).rejects.toThrow(/cannot be read: ENOENT/);
    await expect(loadModelDescription('/nowhere/model.pt')).rejects.toThrow(/ends in \.onnx; it is/);
  });
});

test.skipIf(isInstalled)('a model without its runtime is refused', async () => {
  await expect(loadModelDescription(await writeModel())).rejects.toThrow(
    'the package onnxruntime-node is not installed',
  );
});

describe('the input of a model', () => {
  const model: ModelDescription = {
    path: '',
    space: '',
    dimension: 3,
    width: 2,
    height: 2,
    fit: 'cover',
    layout: 'NCHW',
    channels: 'RGB',
    mean: [0, 0, 0],
    std: [1, 1, 1],
    pooling: 'none',
  };
  // One row: black, red, blue, black.
  const row = [0, 0, 0, 255, 0, 0, 0, 0, 255, 0, 0, 0];
  const pixels = { width: 4, height: 2, data: Buffer.from([...row, ...row]) };

  test('is cropped around the centre, in the order of its layout and channels', async () => {
    expect([...(await prepareInput(pixels, model))]).toEqual([1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1]);
    const interleaved = await prepareInput(pixels, { ...model, layout: 'NHWC', channels: 'BGR' });
    expect([...interleaved]).toEqual([0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0]);
  });

  test('is normalised', async () => {
    const input = await prepareInput(pixels, { ...model, mean: [0.5, 0, 0], std: [0.25, 1, 2] });
    expect([...input]).toEqual([2, -2, 2, -2, 0, 0, 0, 0, 0, 0.5, 0, 0.5]);
  });

  test('gets white margins, or is stretched', async () => {
    const square = { ...model, width: 4, height: 4 };
    const contained = await prepareInput(pixels, { ...square, fit: 'contain' });
    expect([...contained.subarray(0, 4)]).toEqual([1, 1, 1, 1]);
    const stretched = await prepareInput(pixels, { ...square, fit: 'stretch' });
    expect(stretched[0]).toBeLessThan(0.1);
  });
});
