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
async function addOutdated(content: string, vector?: readonly number[]): Promise<number> {
  const job = await catalog.upload(content);
  const { embedding } = derivedFactsOf(content);
  const embeddingOfOldSpace = { space: 'classic-1', vector: vector ?? embedding.vector };
  await catalog.jobs.complete(
    job,
    catalog.renditionsOf(content),
    derivedFactsOf(content, { embedding: embeddingOfOldSpace }),
  );
  return job.imageId;
}

test('queues images with reused renditions and plain pictures again, and moves other embeddings to the new space', async () => {
  const donor = await addOutdated('vase');
  const copyJob = await catalog.upload('copy of the vase');
  await catalog.completeWithDonor(copyJob, 'copy of the vase', donor);
  // Once the donor is purged, only the storage keys show that the renditions were reused.
  const orphanedCopy = await catalog.upload('copy of a purged vase');
  await catalog.completeWithDonor(orphanedCopy, 'copy of a purged vase', donor);
  await database.runScript(
    `UPDATE images SET renditions_reused_from = NULL WHERE id = ${orphanedCopy.imageId}`,
  );
  await catalog.softDelete(orphanedCopy.imageId);
  const damaged = await catalog.upload('copy without its original');
  await catalog.completeWithDonor(damaged, 'copy without its original', donor);
  await catalog.images.markDamaged(damaged.imageId);
  const plain = await addOutdated(
    'swatch',
    Array.from({ length: 512 }, (_, i) => (i < 500 ? 0 : 1)),
  );

  await database.runScript(await readFile(migration, 'utf8'));
  await database.runScript(await readFile(migration, 'utf8'));

  const pending = await rowsOf<{ image_id: number }>(
    database,
    "SELECT image_id::int FROM jobs WHERE state = 'pending' ORDER BY image_id",
  );
  expect(pending.map((job) => job.image_id)).toEqual([copyJob.imageId, orphanedCopy.imageId, plain]);
  const spaces = await rowsOf<{ space: string }>(
    database,
    `SELECT space FROM embeddings WHERE content_hash IN ('${hashOf('vase')}', '${hashOf('swatch')}')`,
  );
  expect(spaces).toEqual([{ space: 'classic-2' }]);
});
