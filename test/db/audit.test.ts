import { expect, onTestFinished, test } from 'vitest';
import { makeAuditQueries } from '../../src/db/audit.ts';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import { systemPrincipal } from '../../src/model/principal.ts';
import { makeAuditChainQueries } from '../../src/db/audit-chains/audit-chains.ts';
import { makeQueries } from '../../src/db/queries.ts';
import { sealAll, writeEntry } from '../support/inner/audit-log.ts';
import { makeUpload, sha256Hex } from '../support/inner/records.ts';
import { selectRow, useDatabase } from '../support/inner/database.ts';

const database = await useDatabase();
const audit = makeAuditQueries(database);
const tenants = makeTenantQueries(database);
const page = { limit: 10, offset: 0 };

test('lists entries, newest first, only of the tenants that the caller may see', async () => {
  const [shop, rival] = [await tenants.ensure('listed-shop'), await tenants.ensure('listed-rival')];
  await writeEntry(database, { tenantId: shop.id, target: 'a' });
  await writeEntry(database, { action: 'image.delete', tenantId: shop.id, target: 'b' });
  await writeEntry(database, { tenantId: rival.id, target: 'c' });
  const own = await audit.list({ tenantId: shop.id }, {}, page);
  expect(own.items.map(({ action, target, tenant }) => [action, target, tenant])).toEqual([
    ['image.delete', 'b', 'listed-shop'],
    ['image.create', 'a', 'listed-shop'],
  ]);
  expect(own.items[0]).toMatchObject({ actor: 'key 1 (robot)', keyId: '1', details: { size: 3 } });
  const all = await audit.list(systemPrincipal, { action: 'image.create', tenant: 'listed-rival' }, page);
  expect(all.items.map(({ target }) => target)).toEqual(['c']);
});

test('filters by actor, target and time', async () => {
  const { id: tenantId } = await tenants.ensure('filtered');
  const list = async (filter: Parameters<typeof audit.list>[1]) =>
    (await audit.list({ tenantId }, filter, page)).items.map(({ target }) => target);
  await writeEntry(database, { tenantId, target: 'a' });
  await writeEntry(database, { tenantId, target: 'b', actor: { subject: 'key 2 (ops)', keyId: '2' } });
  await writeEntry(database, { tenantId, target: 'c', actor: { subject: 'system', keyId: null } });
  expect(await list({ actor: '2' })).toEqual(['b']);
  expect(await list({ actor: 'system' })).toEqual(['c']);
  expect(await list({ actor: 'key 2 (ops)' })).toEqual([]);
  expect(await list({ target: 'a' })).toEqual(['a']);
  const [newest] = (await audit.list({ tenantId }, {}, page)).items;
  const end = new Date((newest?.at.getTime() ?? 0) + 1);
  expect(await list({ until: end })).toEqual(['c', 'b', 'a']);
  expect(await list({ since: end })).toEqual([]);
});

test('lists the entries of a tenant that was removed, by its name', async () => {
  const { id: tenantId } = await tenants.ensure('removed');
  await writeEntry(database, { tenantId, target: 'kept' });
  await sealAll(makeAuditChainQueries(database));
  await database.runScript(`DELETE FROM tenants WHERE id = ${tenantId}`);
  const { items } = await audit.list(systemPrincipal, { tenant: 'removed' }, page);
  expect(items.map(({ target }) => target)).toEqual(['kept']);
});

test('an action whose entry cannot be written does not happen', async () => {
  const { jobs, references, deletion, purging } = makeQueries(database);
  const { id: tenantId } = await tenants.ensure('atomic');
  const existing = await jobs.enqueueUpload(makeUpload(tenantId, 'existing'));
  const image = { id: existing.imageId };
  await database.runScript(`UPDATE jobs SET state = 'failed'; UPDATE images SET status = 'completed'`);
  const [candidate] = await purging.listUnused({ tenantId, minAgeDays: 0 }, { limit: 1 });
  if (!candidate) throw new Error('The image should be unused.');
  await database.runScript(`
    CREATE FUNCTION fail_for_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no entry'; END $$;
    CREATE TRIGGER fail_for_test BEFORE INSERT ON audit_log EXECUTE FUNCTION fail_for_test()`);
  onTestFinished(() =>
    database.runScript('DROP TRIGGER fail_for_test ON audit_log; DROP FUNCTION fail_for_test'),
  );
  const readState = () =>
    selectRow(
      database,
      `SELECT (SELECT jsonb_agg(to_jsonb(i) - 'xmin') FROM images i)::text AS images,
        (SELECT jsonb_agg(to_jsonb(j)) FROM jobs j)::text AS jobs,
        (SELECT count(*) FROM image_references) AS "references"`,
    );
  const before = await readState();
  const line = { tenantId, url: 'https://a.example/', urlHash: sha256Hex('a'), reference: 'page' };
  for (const action of [
    () => jobs.enqueueUpload(makeUpload(tenantId, 'new')),
    () => jobs.enqueueUrls(systemPrincipal, [line], 'reuse-completed', 50),
    () => jobs.retry(systemPrincipal, 1),
    () => references.add(systemPrincipal, image.id, 'page'),
    () => deletion.softDelete(systemPrincipal, image, true),
    () => purging.remove(systemPrincipal, candidate, { unusedWithMinAgeDays: 0 }),
  ])
    await expect(action()).rejects.toThrow('no entry');
  expect(await readState()).toEqual(before);
});

test('records the images that Vitrine removes by itself', async () => {
  const { jobs, expiredRows } = makeQueries(database);
  const { id: tenantId } = await tenants.ensure('expired');
  const line = { tenantId, url: 'https://a.example/', urlHash: sha256Hex('a'), reference: undefined };
  await jobs.enqueueUrls(systemPrincipal, [line], 'reuse-completed', 50);
  await database.runScript(
    `UPDATE jobs SET state = 'failed'; UPDATE images SET status = 'failed', updated_at = now() - interval '100 days'`,
  );
  expect(await expiredRows.removeImagesWithoutContent(90)).toBe(1);
  const { items } = await audit.list({ tenantId }, {}, page);
  expect(items.map(({ action, actor }) => [action, actor])).toEqual([
    ['image.purge', 'system'],
    ['import.create', 'system'],
  ]);
  expect(items[0]).toMatchObject({ target: items[1]?.target, details: { reason: 'failed import' } });
});
