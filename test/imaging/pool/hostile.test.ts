import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AppError } from '../../../src/errors.ts';
import { makeDeriveRequest, makeTestPool, makePictureFolder } from './setup.ts';

// The path of a folder that is not part of the repository. Its subfolder `hostile` contains corrupt, unusual and
// oversized files.
const corpus = process.env['VITRINE_CORPUS'];
if (corpus === undefined) console.log('skipped: set VITRINE_CORPUS to a folder with hostile files');

test.skipIf(corpus === undefined)(
  'derives renditions of every hostile file or rejects the file with a specific error',
  { tags: ['scenario', 'slow'] },
  async () => {
    const pool = makeTestPool({ size: 2 });
    const output = await makePictureFolder();
    const folder = join(corpus!, 'hostile');
    const outcomes = await Promise.allSettled(
      (await readdir(folder)).map((name) =>
        pool
          .derive({ ...makeDeriveRequest(output, ''), path: join(folder, name) })
          .catch((error: unknown) => {
            throw new Error(name, { cause: error });
          }),
      ),
    );
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue;
      const { message: name, cause } = outcome.reason as Error;
      expect(cause, name).toBeInstanceOf(AppError);
      expect((cause as AppError).failureClass, name).toBe('permanent');
      expect((cause as AppError).message, name).toMatch(/^[A-Z].{10,250}\.$/);
    }
    expect(pool.stats()).toMatchObject({ crashes: 0, timeouts: 0, memoryKills: 0 });
  },
);
