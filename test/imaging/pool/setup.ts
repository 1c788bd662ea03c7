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
import { gradientPicture, limits, presets } from '../fixtures/pictures.ts';

const ignore = () => undefined;

/** Returns the path of a child module in the `fixtures` folder. */
export function childModule(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}.ts`, import.meta.url));
}

/** Creates a pool of `faulty-child` processes. Closes it when the test ends. */
export function faultyPool(options: Partial<DecoderPoolOptions> = {}): DecoderPool {
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

/** Creates a folder with pictures that have the given names. Removes it when the test ends. */
export async function pictureFolder(...names: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'decoder-pool-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await Promise.all(names.map((name) => gradientPicture(300, 200).jpeg().toFile(join(folder, name))));
  return folder;
}

type DeriveRequest = Parameters<DecoderPool['derive']>[0];

/**
 * Returns a request that derives the renditions of a picture in `folder`, and writes them to `folder`. The name may
 * request a fault, as in `faultyPath`.
 */
export function derivation(
  folder: string,
  name: string,
  options: Partial<DeriveRequest> = {},
): DeriveRequest {
  return {
    path: faultyPath(folder, name),
    limits,
    presets,
    outputDirectory: folder,
    priority: 0,
    ...options,
  };
}

/** Returns the path of a file. Creates the file if its name requests a fault, such as `hang-1.jpg`. */
export function faultyPath(folder: string, name: string): string {
  const path = join(folder, name);
  if (/-\d+\.jpg$/.test(name)) writeFileSync(path, '', { flag: 'a' });
  return path;
}
