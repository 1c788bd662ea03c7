import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { rowsOf, useDatabase } from '../../support/inner/database.ts';
import { derivedFactsOf, hashOf } from '../../support/inner/records.ts';

const database = await useDatabase();
const { id: tenantId } = await makeTenantQueries(database).ensure('shop');
const catalog = makeCatalog(database, tenantId);
const migration = new URL('../../../src/db/migrations/0007-renditions-on-evidence.sql', import.meta.url);

/** Adds an image with an embedding of the previous space. */
async function addOld(content: string, vector?: readonly number[]): Promise<number> {
  const job = await catalog.upload(content);
  const { embedding } = derivedFactsOf(content);
  const old = { space: 'classic-1', vector: vector ?? embedding.vector };
  await catalog.jobs.complete(
    job,
    catalog.renditionsOf(content),
    derivedFactsOf(content, { embedding: old }),
  );
  return job.imageId;
}

test('derives old shares and plain pictures again, and moves other embeddings to the new space', async () => {
  const donor = await addOld('vase');
  const sharingJob = await catalog.upload('copy of the vase');
  await catalog.completeWithDonor(sharingJob, 'copy of the vase', donor);
  // Once the donor is purged, only the keys of the files tell where they came from.
  const lost = await catalog.upload('copy of a lost vase');
  await catalog.completeWithDonor(lost, 'copy of a lost vase', donor);
  await database.runScript(`UPDATE images SET renditions_reused_from = NULL WHERE id = ${lost.imageId}`);
  await catalog.softDelete(lost.imageId);
  const damaged = await catalog.upload('copy without its original');
  await catalog.completeWithDonor(damaged, 'copy without its original', donor);
  await catalog.images.markDamaged(damaged.imageId);
  const plain = await addOld(
    'swatch',
    Array.from({ length: 512 }, (_, at) => (at < 500 ? 0 : 1)),
  );

  await database.runScript(await readFile(migration, 'utf8'));
  await database.runScript(await readFile(migration, 'utf8'));

  const due = await rowsOf<{ image_id: number }>(
    database,
    "SELECT image_id::int FROM jobs WHERE state = 'pending' ORDER BY image_id",
  );
  expect(due.map((job) => job.image_id)).toEqual([sharingJob.imageId, lost.imageId, plain]);
  const spaces = await rowsOf<{ space: string }>(
    database,
    `SELECT space FROM embeddings WHERE content_hash IN ('${hashOf('vase')}', '${hashOf('swatch')}')`,
  );
  expect(spaces).toEqual([{ space: 'classic-2' }]);
});
