import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, StartupError } from '../errors.ts';
import type { DecoderPool } from '../imaging/pool/decoder-pool.ts';
import { priorities } from '../model/job.ts';

/** The smallest GIF: one black pixel. */
const picture = Buffer.from('R0lGODlhAQABAPAAAAAAAP///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==', 'base64');

const limits = { maxPixels: 1, maxAvifPixels: 1, maxFrames: 1, allowedFormats: ['gif'] } as const;

/**
 * Computes the embedding of a tiny picture, so that a server does not start with a model that cannot be loaded or does not
 * match its description.
 * @throws {StartupError} with the reason
 */
export async function tryModel(decoders: Pick<DecoderPool, 'describe'>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-model-'));
  try {
    const path = join(folder, 'pixel.gif');
    await writeFile(path, picture);
    await decoders.describe({ path, limits, priority: priorities.inline });
  } catch (error) {
    throw error instanceof AppError ? new StartupError(error.message) : error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
