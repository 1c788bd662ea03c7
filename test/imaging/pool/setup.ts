import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import {
  type DecoderPool,
  type DecoderPoolOptions,
  makeDecoderPool,
} from '../../../src/imaging/pool/decoder-pool.ts';
import { gradientPicture, limits, variants } from '../fixtures/pictures.ts';

const ignore = () => undefined;

/** Returns the path of a child module in the `fixtures` folder. */
export function childModule(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}.ts`, import.meta.url));
}

/** Creates a decoder pool for one test. Unless `options` replaces the child module, its children run `faulty-child`. */
export function makeTestPool(options: Partial<DecoderPoolOptions> = {}): DecoderPool {
  const pool = makeDecoderPool({
    size: 1,
    timeoutMs: 60_000,
    probeTimeoutMs: 30_000,
    memoryMb: 1024,
    maxTasksPerChild: 500,
    logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    childModule: childModule('faulty-child'),
    ...options,
  });
  onTestFinished(() => pool.close());
  return pool;
}

/** Creates a folder with pictures that have the given names. Removes the folder when the test ends. */
export async function makePictureFolder(...names: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'decoder-pool-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await Promise.all(names.map((name) => gradientPicture(300, 200).jpeg().toFile(join(folder, name))));
  return folder;
}

type DeriveRequest = Parameters<DecoderPool['derive']>[0];

/**
 * Returns a request that derives the renditions of a picture in `folder` and writes them to `folder`. The picture may
 * be named after a fault, as described for `inputPath`.
 */
export function makeDeriveRequest(
  folder: string,
  name: string,
  options: Partial<DeriveRequest> = {},
): DeriveRequest {
  return {
    path: inputPath(folder, name),
    limits,
    variants,
    outputDirectory: folder,
    priority: 0,
    ...options,
  };
}

/** Returns the path of an input file. If the file is named after a fault, as in `hang-1.jpg`, creates it. */
export function inputPath(folder: string, name: string): string {
  const path = join(folder, name);
  if (/-\d+\.jpg$/.test(name)) writeFileSync(path, '', { flag: 'a' });
  return path;
}
