import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { selectRows, useDatabase } from '../../support/inner/database.ts';
import { makeDerivedFacts, sha256Hex } from '../../support/inner/records.ts';

const database = await useDatabase();
const { id: tenantId } = await makeTenantQueries(database).ensure('shop');
const catalog = makeCatalog(database, tenantId);
const migration = new URL('../../../src/db/migrations/0007-renditions-on-evidence.sql', import.meta.url);

/** Adds an image with an embedding in the previous embedding space. */
async function addOutdatedImage(content: string, vector?: readonly number[]): Promise<number> {
  const job = await catalog.upload(content);
  const { embedding } = makeDerivedFacts(content);
  const oldEmbedding = { space: 'classic-1', vector: vector ?? embedding.vector };
  await catalog.jobs.complete(
    job,
    catalog.makeRenditions(content),
    makeDerivedFacts(content, { embedding: oldEmbedding }),
  );
  return job.imageId;
}

test('requeues single-colour images and images with reused renditions, and moves all other embeddings to the new embedding space', async () => {
  const donorId = await addOutdatedImage('vase');
  const copyJob = await catalog.upload('copy of the vase');
  await catalog.completeWithDonor(copyJob, 'copy of the vase', donorId);
  // After the image that made the renditions is purged, only the storage keys show that the renditions were reused.
  const purgedSourceCopyJob = await catalog.upload('copy of a purged vase');
  await catalog.completeWithDonor(purgedSourceCopyJob, 'copy of a purged vase', donorId);
  await database.runScript(
    `UPDATE images SET renditions_reused_from = NULL WHERE id = ${purgedSourceCopyJob.imageId}`,
  );
  await catalog.softDelete(purgedSourceCopyJob.imageId);
  const damagedCopyJob = await catalog.upload('copy without its original');
  await catalog.completeWithDonor(damagedCopyJob, 'copy without its original', donorId);
  await catalog.images.markDamaged(damagedCopyJob.imageId);
  const singleColourImageId = await addOutdatedImage(
    'swatch',
    Array.from({ length: 512 }, (_, i) => (i < 500 ? 0 : 1)),
  );

  await database.runScript(await readFile(migration, 'utf8'));
  await database.runScript(await readFile(migration, 'utf8'));

  const pendingJobs = await selectRows<{ image_id: number }>(
    database,
    "SELECT image_id::int FROM jobs WHERE state = 'pending' ORDER BY image_id",
  );
  expect(pendingJobs.map((job) => job.image_id)).toEqual([
    copyJob.imageId,
    purgedSourceCopyJob.imageId,
    singleColourImageId,
  ]);
  const spaces = await selectRows<{ space: string }>(
    database,
    `SELECT space FROM embeddings WHERE content_hash IN ('${sha256Hex('vase')}', '${sha256Hex('swatch')}')`,
  );
  expect(spaces).toEqual([{ space: 'classic-2' }]);
});
