import { basename } from 'node:path';
import { AppError } from '../../../errors.ts';
import type { Embedding } from '../../../model/fingerprint.ts';
import { fromRaster, type Pixels, toOpaqueRaster, toRaster } from '../../decoding/pixels.ts';
import type { EmbedPixels } from '../embedding/embedding.ts';
import { type ModelDescription, runtimePackage } from './model-description.ts';

// This module runs in decoder children. The types below cover the part of the runtime that it uses, because the package
// may not be installed.

interface Tensor {
  readonly data: ArrayLike<number | bigint>;
  readonly dims: readonly number[];
}

interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
}

interface Runtime {
  readonly InferenceSession: { create(path: string, options: object): Promise<Session> };
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => Tensor;
}

/** Each child runs one picture at a time, and there are several children, so one thread each keeps all cores busy. */
const sessionOptions = {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  // Without the arena, memory returns to the system after each picture.
  enableCpuMemArena: false,
};

/** Numbers are rounded to six decimal places, because further digits differ between machines. */
const precision = 1e6;

/**
 * Loads a model and its runtime, which is native code. A failure is reported by each call of the result, because the
 * child could not report it before it is ready.
 */
export async function openModel(description: ModelDescription): Promise<EmbedPixels> {
  try {
    const runtime = (await import(runtimePackage)) as Runtime;
    const session = await runtime.InferenceSession.create(description.path, sessionOptions);
    return async (pixels) => embed(runtime, session, description, pixels);
  } catch (error) {
    return () => Promise.reject(modelFailed(description, error));
  }
}

async function embed(
  runtime: Runtime,
  session: Session,
  description: ModelDescription,
  pixels: Pixels,
): Promise<Embedding> {
  const input = await prepareInput(pixels, description);
  try {
    const { width, height, layout } = description;
    const dims = layout === 'NCHW' ? [1, 3, height, width] : [1, height, width, 3];
    const [inputName = ''] = session.inputNames;
    const outputs = await session.run({ [inputName]: new runtime.Tensor('float32', input, dims) });
    const outputName = description.output ?? session.outputNames[0] ?? '';
    const output = outputs[outputName];
    if (!output)
      throw new Error(`it has no output "${outputName}"; it has ${session.outputNames.join(', ')}`);
    return { space: description.space, vector: toUnitVector(poolTokens(output, description)) };
  } catch (error) {
    throw modelFailed(description, error);
  }
}

/** Fits a picture to the input of the model, and normalises it. */
export async function prepareInput(
  pixels: Pixels,
  { width, height, fit, layout, channels, mean, std }: ModelDescription,
): Promise<Float32Array> {
  const { data } = await toRaster(
    fromRaster(toOpaqueRaster(pixels)).resize({
      width,
      height,
      fit: fit === 'stretch' ? 'fill' : fit,
      background: '#ffffff',
    }),
  );
  const pixelCount = width * height;
  const input = new Float32Array(3 * pixelCount);
  for (let channel = 0; channel < 3; channel++) {
    const source = channels === 'RGB' ? channel : 2 - channel;
    const [channelMean, channelStd] = [mean[channel] ?? 0, std[channel] ?? 1];
    for (let pixel = 0; pixel < pixelCount; pixel++) {
      const target = layout === 'NCHW' ? channel * pixelCount + pixel : 3 * pixel + channel;
      input[target] = ((data[3 * pixel + source] ?? 0) / 255 - channelMean) / channelStd;
    }
  }
  return input;
}

/** Returns the vector of an output: [1, dimension], possibly with further sides of 1; or [1, tokens, dimension]. */
function poolTokens({ data, dims }: Tensor, { dimension, pooling }: ModelDescription): Float64Array {
  const values = Float64Array.from(data, Number);
  const isPooled = pooling === 'none' ? values.length === dimension : dims.at(-1) === dimension;
  if (!isPooled || values.length % dimension !== 0)
    throw new Error(`its output has the shape ${dims.join(' × ')}, which does not match the description`);
  if (pooling !== 'mean') return values.subarray(0, dimension);
  const sums = new Float64Array(dimension);
  for (const [index, value] of values.entries())
    sums[index % dimension] = (sums[index % dimension] ?? 0) + value;
  return sums;
}

function toUnitVector(values: Float64Array): number[] {
  let squares = 0;
  for (const value of values) squares += value * value;
  const length = Math.sqrt(squares);
  if (!Number.isFinite(length)) throw new Error('its output is not finite');
  return Array.from(values, (value) =>
    length > 0 ? Math.round((value / length) * precision) / precision : 0,
  );
}

/** The message may reach clients, so it does not contain the path. */
function modelFailed({ path }: ModelDescription, error: unknown): AppError {
  const reason = error instanceof Error ? error.message : String(error);
  const message = `The model of EMBEDDING_MODEL failed: ${reason.replaceAll(path, basename(path))}`;
  return new AppError('internal_error', message);
}
