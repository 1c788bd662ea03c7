import { readFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { selectRow, selectRows, useDatabase } from '../../support/inner/database.ts';

const database = await useDatabase();
const { id: tenantId } = await makeTenantQueries(database).ensure('shop');
const catalog = makeCatalog(database, tenantId);
const migration = new URL('../../../src/db/migrations/0011-one-active-job.sql', import.meta.url);

test('rejects a second active job for an image', async () => {
  const { imageId } = await catalog.upload('vase');
  await expect(insertPendingJob(imageId)).rejects.toMatchObject({ code: '23505' });
});

test('keeps one active job per image during the migration: the job that is being processed, or else the newest job', async () => {
  const claimedJob = await catalog.upload('vase');
  const completedId = await catalog.add('lamp');
  await database.runScript('DROP INDEX jobs_one_active');
  // A later migration excludes the jobs that make variants.
  onTestFinished(() =>
    database.runScript(`DROP INDEX jobs_one_active;
      CREATE UNIQUE INDEX jobs_one_active ON jobs (image_id) WHERE state IN ('pending', 'processing') AND kind <> 'render'`),
  );
  await insertPendingJob(claimedJob.imageId);
  await insertPendingJob(completedId);
  const newestId = await insertPendingJob(completedId);

  await database.runScript(await readFile(migration, 'utf8'));

  const activeJobs = await selectRows<{ id: number }>(
    database,
    "SELECT id FROM jobs WHERE state IN ('pending', 'processing') ORDER BY image_id",
  );
  expect(activeJobs.map(({ id }) => id)).toEqual([claimedJob.id, newestId]);
});

async function insertPendingJob(imageId: number): Promise<number> {
  const { id } = await selectRow<{ id: number }>(
    database,
    `INSERT INTO jobs (kind, image_id, tenant_id, priority, state)
     VALUES ('derive', ${imageId}, ${tenantId}, 100, 'pending') RETURNING id`,
  );
  return id;
}
