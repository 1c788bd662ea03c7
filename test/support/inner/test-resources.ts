import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Database } from '../../../src/db/database.ts';
import { type DecoderPool, makeDecoderPool } from '../../../src/imaging/pool/decoder-pool.ts';
import { useDatabase } from './database.ts';
import { makeRecordingLogger } from './logger.ts';
import { makePreset } from '../../../src/model/preset.ts';

export const presets = [
  makePreset({ name: 'thumb', width: 20, height: 20, quality: 85 }),
  makePreset({ name: 'card', width: 40, height: 40, quality: 85 }),
];
const markedChild = fileURLToPath(new URL('./marked-child.ts', import.meta.url));

/** A database and a pool of real decoder children. */
export interface TestResources {
  readonly database: Database;
  readonly decoders: DecoderPool;
}

/** The decoder pool that the test files of this Vitest worker share. Its children exit with the Vitest worker. */
let decoders: DecoderPool | undefined;

/**
 * Returns the database and the decoder pool that the test files of one Vitest worker share, because both are slow to
 * start. Call this function during test collection.
 */
export async function useTestResources(): Promise<TestResources> {
  decoders ??= startDecoders();
  return { database: await useDatabase(), decoders };
}

function startDecoders(): DecoderPool {
  const pool = makeDecoderPool({
    size: 2,
    timeoutMs: 30_000,
    probeTimeoutMs: 20_000,
    memoryMb: 1024,
    maxTasksPerChild: 500,
    logger: makeRecordingLogger(),
    childModule: markedChild,
    ...(process.env['TEST_RUN_FOLDER'] && {
      workDirectory: join(process.env['TEST_RUN_FOLDER'], `decoders-${process.pid}`),
    }),
  });
  pool.start();
  return pool;
}
