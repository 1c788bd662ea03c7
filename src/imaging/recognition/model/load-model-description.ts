import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { StartupError } from '../../../errors.ts';
import { type ModelDescription, runtimePackage } from './model-description.ts';

/** pgvector cannot index vectors of more dimensions in half precision. */
export const maxDimension = 4_000;
const maxInputSide = 1_024;

const sideSchema = z.int().min(8).max(maxInputSide);
const normalisation = (min: number, max: number) =>
  z.tuple([z.number().min(min).max(max), z.number().min(min).max(max), z.number().min(min).max(max)]);

/** The fields of the JSON file beside a model, as documented in docs/similarity.md. */
const fileSchema = z.strictObject({
  dimension: z.int().min(2).max(maxDimension),
  width: sideSchema,
  height: sideSchema,
  fit: z.enum(['cover', 'contain', 'stretch']).default('cover'),
  layout: z.enum(['NCHW', 'NHWC']).default('NCHW'),
  channels: z.enum(['RGB', 'BGR']).default('RGB'),
  mean: normalisation(-255, 255),
  std: normalisation(0.0001, 255),
  output: z.string().min(1).max(200).optional(),
  pooling: z.enum(['none', 'first', 'mean']).default('none'),
});

/**
 * Reads the description of a model from the JSON file beside it, and names its embedding space.
 * @param setting value of `EMBEDDING_MODEL`: the path of the model, which ends in `.onnx`.
 * @throws {StartupError} that explains what to do if the package, the model or its description is missing or invalid.
 */
export async function loadModelDescription(setting: string): Promise<ModelDescription> {
  assertRuntimeIsInstalled();
  const path = resolve(setting);
  if (!path.endsWith('.onnx'))
    throw new StartupError(
      `EMBEDDING_MODEL must be the path of a file that ends in .onnx; it is ${setting}.`,
    );
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash, { end: false }).catch((error: unknown) => {
    throw new StartupError(`The model ${path} of EMBEDDING_MODEL cannot be read: ${describeError(error)}.`);
  });
  const fields = await readFields(path.replace(/\.onnx$/, '.json'));
  // The fields are hashed in a fixed order and with their defaults, so that formatting does not change the space.
  const canonicalFields = Object.entries(fields).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const digest = hash.update(JSON.stringify(canonicalFields)).digest('hex');
  return { ...fields, path, space: `onnx-${digest.slice(0, 16)}` };
}

function assertRuntimeIsInstalled(): void {
  if (isInstalled(runtimePackage)) return;
  throw new StartupError(
    `EMBEDDING_MODEL is set, but the package ${runtimePackage} is not installed. Install it with "npm install --no-save --ignore-scripts ${runtimePackage}", or remove EMBEDDING_MODEL.`,
  );
}

function isInstalled(name: string): boolean {
  try {
    return findPackageJSON(name, import.meta.url) !== undefined;
  } catch {
    return false;
  }
}

async function readFields(path: string): Promise<z.output<typeof fileSchema>> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    const reason = error instanceof SyntaxError ? 'it is not valid JSON' : describeError(error);
    throw new StartupError(
      `The file ${path}, which describes the model of EMBEDDING_MODEL, cannot be read: ${reason}. See docs/similarity.md.`,
    );
  }
  const result = fileSchema.safeParse(content);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path: field, message }) =>
    field.length > 0 ? `${field.join('.')}: ${message}` : message,
  );
  throw new StartupError(
    `The file ${path}, which describes the model of EMBEDDING_MODEL, is invalid: ${problems.join('; ')}. See docs/similarity.md.`,
  );
}

function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
