import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import { type DecoderPool, makeDecoderPool } from '../../../src/imaging/pool/decoder-pool.ts';
import { useDatabase } from './database.ts';
import { keepingLogger } from './logger.ts';

export const presets = [
  { name: 'thumb', width: 20, height: 20, quality: 85 },
  { name: 'card', width: 40, height: 40, quality: 85 },
];
const markedChild = fileURLToPath(new URL('./marked-child.ts', import.meta.url));

/** A database and a pool of real decoder children. */
export interface Engines {
  readonly database: Database;
  readonly decoders: DecoderPool;
}

/** What is slow to make, and shared by the tests of a file. */
export async function useEngines(): Promise<Engines> {
  const decoders = makeDecoderPool({
    size: 2,
    timeoutMs: 5000,
    probeTimeoutMs: 2000,
    memoryMb: 1024,
    recycleAfterJobs: 500,
    logger: keepingLogger(),
    childModule: markedChild,
  });
  await decoders.start();
  afterAll(() => decoders.close());
  return { database: await useDatabase(), decoders };
}
