import { expect, test } from 'vitest';
import { makeQueries } from '../../../src/db/queries.ts';
import { unrestrictedPrincipal, systemPrincipal } from '../../../src/model/principal.ts';
import { emptyTables, openDatabase, selectRow, selectRows } from '../../support/inner/database.ts';
import { recordPending } from '../../support/inner/jobs.ts';
import { sha256Hex } from '../../support/inner/records.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';

const database = await openDatabase();
const { expiredRows, imports, references, jobs, tenants, usage } = makeQueries(database);
const page = { limit: 10, offset: 0 };

/** Removes the rows of earlier tests, except for tenants, which are marked as just used. */
async function reset(): Promise<void> {
  await emptyTables(database);
  await database.runScript('UPDATE tenants SET used_at = now()');
}

/** Records an import of one image. The import was created `days` days ago. */
async function recordImport(
  tenantId: number,
  name: string,
  days: number,
): Promise<{ id: number; imageId: number }> {
  const url = `https://a.example/${name}.jpg`;
  const [result] = await jobs.enqueueUrls(
    systemPrincipal,
    [{ tenantId, url, urlHash: sha256Hex(url), reference: undefined }],
    'reuse-completed',
    50,
  );
  const imageId = result?.imageId ?? 0;
  const line = { line: 1, url, tenant: 'shop', reference: null, code: null, error: null };
  const { id } = await imports.record(unrestrictedPrincipal, [{ ...line, outcome: 'new', imageId }]);
  await database.runScript(
    `UPDATE imports SET created_at = now() - interval '${days} days' WHERE id = ${id}`,
  );
  return { id, imageId };
}

const completeImage = (imageId: number) =>
  database.runScript(`UPDATE images SET status = 'completed' WHERE id = ${imageId}`);
const findImport = (id: number) => imports.find(unrestrictedPrincipal, { id }, page);
const setDaysSinceUse = (name: string, days: number) =>
  database.runScript(`UPDATE tenants SET used_at = now() - interval '${days} days' WHERE name = '${name}'`);

test('removes only completed and failed jobs, each after its retention period', async () => {
  await reset();
  const { id } = await tenants.ensure('shop');
  for (const state of ['completed', 'failed', 'pending'] as const) {
    for (const days of [6, 8, 31]) {
      const { jobId } = await recordPending(database, id, `${state} ${days}`);
      await database.runScript(
        `UPDATE jobs SET state = '${state}', created_at = now() - interval '${days} days',
         finished_at = CASE WHEN '${state}' <> 'pending' THEN now() - interval '${days} days' END WHERE id = ${jobId}`,
      );
    }
  }
  expect([await expiredRows.removeJobs('completed', 7), await expiredRows.removeJobs('failed', 30)]).toEqual([
    2, 1,
  ]);
  const remainingRows = await selectRows<{ state: string; age: number }>(
    database,
    'SELECT state, extract(day FROM now() - created_at)::int AS age FROM jobs ORDER BY state, age',
  );
  expect(remainingRows.map((job) => [job.state, job.age])).toEqual([
    ['completed', 6],
    ['failed', 6],
    ['failed', 8],
    ['pending', 6],
    ['pending', 8],
    ['pending', 31],
  ]);
  expect((await selectRow<{ count: number }>(database, 'SELECT count(*) FROM images')).count).toBe(9);
});

test('removes finished imports and their lines, but not their images', async () => {
  await reset();
  const { id: tenantId } = await tenants.ensure('shop');
  const [oldImport, recentImport, processingImport, deletedImport] = [
    await recordImport(tenantId, 'old', 91),
    await recordImport(tenantId, 'recent', 89),
    await recordImport(tenantId, 'processing', 91),
    await recordImport(tenantId, 'deleted', 91),
  ];
  await completeImage(oldImport.imageId);
  await completeImage(recentImport.imageId);
  await database.runScript(`UPDATE images SET deleted_at = now() WHERE id = ${deletedImport.imageId}`);
  expect(await expiredRows.removeImports(90)).toBe(2);
  expect(
    await Promise.all(
      [oldImport, recentImport, processingImport, deletedImport].map(async ({ id }) =>
        Boolean(await findImport(id)),
      ),
    ),
  ).toEqual([false, true, true, false]);
  expect(await selectRows(database, 'SELECT DISTINCT import_id AS id FROM import_lines ORDER BY id')).toEqual(
    [{ id: recentImport.id }, { id: processingImport.id }],
  );
  expect((await selectRow<{ count: number }>(database, 'SELECT count(*) FROM images')).count).toBe(4);
});

test('removes images without content, unless they have a reference or are being retried', async () => {
  await reset();
  const { id: tenantId } = await tenants.ensure('shop');
  const names = ['failed', 'recent', 'used', 'retried', 'with content', 'deleted'];
  const images = new Map<string, number>();
  for (const name of names) images.set(name, (await recordImport(tenantId, name, 0)).imageId);
  const setColumns = (name: string, assignments: string) =>
    database.runScript(`UPDATE images SET ${assignments} WHERE id = ${images.get(name)}`);
  for (const name of names)
    await setColumns(
      name,
      `status = 'failed', updated_at = now() - interval '${name === 'recent' ? 89 : 91} days'`,
    );
  await references.add(systemPrincipal, images.get('used') ?? 0, 'product-42');
  await setColumns('retried', "status = 'pending'");
  await setColumns('with content', `content_hash = '${sha256Hex('content')}'`);
  await setColumns('deleted', 'deleted_at = now()');
  expect(await expiredRows.removeImagesWithoutContent(90)).toBe(1);
  const remainingRows = await selectRows<{ id: number }>(database, 'SELECT id FROM images ORDER BY id');
  expect(remainingRows.map(({ id }) => id)).toEqual(names.slice(1).map((name) => images.get(name)));
  expect(await usageFromCounters(database)).toEqual(await usageFromRows(database));
  const linesWithoutImage = await selectRows(database, 'SELECT 1 FROM import_lines WHERE image_id IS NULL');
  expect(linesWithoutImage).toHaveLength(1);
});

test('removes more imports than one batch contains', async () => {
  await reset();
  await database.runScript(`
    INSERT INTO imports (uuid, total, created_at)
    SELECT gen_random_uuid(), 0, now() - interval '91 days' FROM generate_series(1, 120)`);
  expect(await expiredRows.removeImports(90)).toBe(120);
});

test('removes unused tenants that have no images, jobs or imports, and leaves the usage unchanged', async () => {
  await reset();
  const names = [
    'with image',
    'with deleted image',
    'with job',
    'with import',
    'with usage change',
    'in use',
    'empty',
    'emptied',
  ];
  const ids = new Map<string, number>();
  for (const name of names) {
    const { id } = await tenants.ensure(name.replaceAll(' ', '-'));
    ids.set(name, id);
    if (name !== 'in use') await setDaysSinceUse(name.replaceAll(' ', '-'), 31);
  }
  const findTenantId = (name: string) => ids.get(name) ?? 0;
  await recordPending(database, findTenantId('with image'), 'image');
  const deletedImage = await recordPending(database, findTenantId('with deleted image'), 'deleted');
  await database.runScript(`UPDATE images SET deleted_at = now() WHERE id = ${deletedImage.imageId}`);
  for (const name of ['with job', 'emptied']) {
    const { imageId, jobId } = await recordPending(database, findTenantId(name), name);
    await database.runScript(`DELETE FROM images WHERE id = ${imageId}`);
    if (name === 'emptied') await database.runScript(`DELETE FROM jobs WHERE id = ${jobId}`);
  }
  await database.runScript(
    `INSERT INTO imports (uuid, tenant_id, total) VALUES (gen_random_uuid(), ${findTenantId('with import')}, 0)`,
  );
  await usage.foldDeltas();
  await database.runScript(
    `INSERT INTO usage_deltas (tenant_id, kind, preset, count, bytes) VALUES (${findTenantId('with usage change')}, 'image', '', 0, 0)`,
  );
  // Earlier tests may also have left tenants without images behind, but `reset` marked those tenants as just used.
  expect(await expiredRows.removeTenants(30)).toBe(2);
  const remainingRows = await selectRows<{ name: string }>(database, 'SELECT name FROM tenants');
  expect(
    names.filter((name) => !remainingRows.some((row) => row.name === name.replaceAll(' ', '-'))),
  ).toEqual(['empty', 'emptied']);
  expect(await usageFromCounters(database)).toEqual(await usageFromRows(database));
  await usage.foldDeltas();
  expect(
    await selectRows(database, `SELECT 1 FROM usage_totals WHERE tenant_id = ${findTenantId('emptied')}`),
  ).toEqual([]);
});

test('keeps a tenant that is used again, and creates a new tenant for a removed name', async () => {
  await reset();
  const firstTenant = await tenants.ensure('returning');
  await setDaysSinceUse('returning', 31);
  // A process records the use of a tenant at most once an hour, and this process has just done so. A different process
  // records the use again.
  const otherProcess = makeQueries(database);
  expect(await otherProcess.tenants.ensure('returning')).toEqual(firstTenant);
  expect(await expiredRows.removeTenants(30)).toBe(0);
  await setDaysSinceUse('returning', 31);
  expect(await expiredRows.removeTenants(30)).toBe(1);
  const { tenants: laterProcess } = makeQueries(database);
  expect(await laterProcess.find('returning')).toBeUndefined();
  const secondTenant = await laterProcess.ensure('returning');
  expect(secondTenant.id).toBeGreaterThan(firstTenant.id);
  await recordPending(database, secondTenant.id, 'new');
});

test('never removes a tenant to which an image is added during the sweep', async () => {
  await reset();
  for (let round = 0; round < 10; round += 1) {
    const name = `raced-${round}`;
    await tenants.ensure(name);
    await setDaysSinceUse(name, 31);
    const writer = makeQueries(database);
    const [, tenant] = await Promise.all([expiredRows.removeTenants(30), writer.tenants.ensure(name)]);
    await recordPending(database, tenant.id, name);
  }
  expect((await selectRow<{ count: number }>(database, 'SELECT count(*) FROM images')).count).toBe(10);
});
