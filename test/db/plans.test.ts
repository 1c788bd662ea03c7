import { beforeAll, expect, test } from 'vitest';
import { makeQueries } from '../../src/db/queries.ts';
import { embeddingSpace } from '../../src/model/fingerprint.ts';
import { noQuotas } from '../../src/model/quota.ts';
import { unrestrictedPrincipal, type Principal, systemPrincipal } from '../../src/model/principal.ts';
import { runInTenant } from '../../src/tenant-scope.ts';
import { openDatabase, selectRow } from '../support/inner/database.ts';
import { fillDatabase } from '../support/inner/filled-database.ts';
import { seqScannedTables, recordQueries } from '../support/inner/plans.ts';
import { makeDerivedFacts, sha256Hex, makeUpload } from '../support/inner/records.ts';

const filledDatabase = await openDatabase();
const { database, recordPlans } = recordQueries(filledDatabase);
const queries = makeQueries(database);
const { images, reports, purging, usage, fingerprints, embeddings, jobs, references, storedFiles } = queries;
const { candidateVectors, tenants, deletion, recounting, expiredRows, audit, auditChains, quotas } = queries;
const { duplicateGroups, resolutions, verdicts } = queries;
const smallTenant: Principal = { ...unrestrictedPrincipal, tenantId: 5 };
const page = { limit: 50, offset: 0 };
const largeTables = new Set([
  'images',
  'renditions',
  'jobs',
  'fingerprints',
  'frame_hashes',
  'embeddings',
  'image_references',
  'audit_log',
  'near_duplicates',
  'duplicate_groups',
  'duplicate_members',
  'duplicate_verdicts',
]);

beforeAll(() => fillDatabase(filledDatabase, 30_000));

const hourAgo = new Date(Date.now() - 3_600_000);
const vase = { id: 12_345 };

/** Finds the nth image of the first tenant that nobody has deleted. */
async function findJudged(n: number) {
  const image = (
    await images.list({ ...unrestrictedPrincipal, tenantId: 1 }, {}, { limit: 1, offset: 20 + n })
  ).items[0]!;
  return { ...image, contentHash: image.contentHash! };
}

const operations: Record<string, () => Promise<unknown>> = {
  'a list of images': () => images.list(unrestrictedPrincipal, {}, page),
  'a later page of images': () => images.list(unrestrictedPrincipal, {}, { ...page, after: 9_000 }),
  'a tenant’s list of images': () => images.list(unrestrictedPrincipal, { tenant: 'tenant-7' }, page),
  'a list of images for a principal that is restricted to one tenant': () =>
    images.list(smallTenant, {}, page),
  'a list of images by status': () => images.list(unrestrictedPrincipal, { status: 'failed' }, page),
  'a tenant’s list of images by status': () => images.list(smallTenant, { status: 'pending' }, page),
  'a tenant’s list of completed images': () => images.list(smallTenant, { status: 'completed' }, page),
  'a list of images by time': () => images.list(unrestrictedPrincipal, { createdAfter: hourAgo }, page),
  'a tenant’s list of images by facts': () =>
    images.list(smallTenant, { facts: { background: 'white', minSharpness: 50, upscaled: false } }, page),
  'a tenant’s list of images with a warning': () => images.list(smallTenant, { warning: 'min_fill' }, page),
  'an image lookup': () => images.find(unrestrictedPrincipal, vase),
  'an image lookup by content': () => images.findByContent(1, sha256Hex('x')),
  'a list of images with the same content': () => images.listByContent(1, sha256Hex('x')),
  'a list of images by id': () => images.listByIds(unrestrictedPrincipal, [1, 2, 3]),
  'a list of unused images': () => purging.listUnused({ tenantId: null, minAgeDays: 0 }, { limit: 200 }),
  'a count of unused images': () => purging.countUnused({ tenantId: null, minAgeDays: 1 }),
  'a tenant’s list of unused images': () =>
    purging.listUnused({ tenantId: 5, minAgeDays: 1 }, { limit: 200 }),
  'a list of tenants without references': () => purging.listTenantsWithoutReferences(null),
  'a list of deleted images': () => purging.listDeleted(null, hourAgo, { limit: 200 }),
  'a purge summary': () => purging.summarizeDeleted(null, 1),
  'a tenant’s purge summary': () => purging.summarizeDeleted(5, 0),
  'a purge of one unused image': async () => {
    const [candidate] = await purging.listUnused({ tenantId: 1, minAgeDays: 0 }, { limit: 1 });
    await purging.remove(systemPrincipal, candidate!, { unusedWithMinAgeDays: 0 });
  },
  'the overall usage': () => usage.readOverall(unrestrictedPrincipal),
  'a tenant’s usage': () => usage.findByTenant(unrestrictedPrincipal, 'tenant-7'),
  'a neighbour search': () =>
    fingerprints.findNeighbours(
      5,
      makeDerivedFacts('x').fingerprint.frameHashes.map((hash) => ({ ...hash, maxBits: 24 })),
      '',
    ),
  'a similarity search for a small tenant': () =>
    embeddings.findSimilarToPicture(5, { space: embeddingSpace, vector: [1, 0, 0] }, '', {
      limit: 10,
      threshold: 0.5,
      metric: 'cosine',
    }),
  'a list of the vectors of candidates': () =>
    candidateVectors.list(
      1,
      embeddingSpace,
      Array.from({ length: 200 }, (_, index) => index * 100),
    ),
  'a list of jobs by state': () => reports.list(unrestrictedPrincipal, { state: 'failed' }, page),
  'a tenant’s list of jobs': () => reports.list(smallTenant, {}, page),
  'a list of jobs by error': () => reports.list(unrestrictedPrincipal, { code: 'picture_damaged' }, page),
  'a list of an image’s jobs': () => reports.list(unrestrictedPrincipal, { imageId: 77 }, page),
  'the queue depth': () => reports.readQueueDepth(),
  'the queue depth of each tenant': () => reports.readTenantQueueDepths(),
  'a count of failed jobs': () => reports.countFailed(),
  'a list of groups': () => duplicateGroups.list(unrestrictedPrincipal, {}, page),
  'a tenant’s list of groups': () => duplicateGroups.list(smallTenant, {}, page),
  'a later page of a tenant’s groups': () =>
    duplicateGroups.list(unrestrictedPrincipal, { tenant: 'tenant-7' }, { ...page, after: 200 }),
  'a list of groups by tier': () => duplicateGroups.list(unrestrictedPrincipal, { tier: 'variant' }, page),
  'a tenant’s list of groups by tier': () => duplicateGroups.list(smallTenant, { tier: 'identical' }, page),
  'a verdict': async () => {
    const pair = [await findJudged(1), await findJudged(2)] as const;
    await verdicts.set(systemPrincipal, pair, 'variant');
    await verdicts.remove(systemPrincipal, pair);
  },
  'a search for verdicts': () => verdicts.listAmong(1, sha256Hex('1'), [sha256Hex('2'), sha256Hex('3')]),
  'a resolved group': async () => {
    const { groups } = await duplicateGroups.list(unrestrictedPrincipal, {}, { limit: 1 });
    const [keep, discard] = groups[0]!.members;
    const resolution = { keep: { id: keep!.image }, discard: [{ id: discard!.image }] };
    expect((await resolutions.resolve(unrestrictedPrincipal, groups[0]!.id, resolution)).outcome).toBe(
      'resolved',
    );
  },
  'a retry': () => jobs.retry(unrestrictedPrincipal, 3),
  'a claim': () => jobs.claimDue('derive', 4, 60),
  'a claim of imports': () => jobs.claimDue('import', 4, 60, { perHost: 2, perTenant: 3 }),
  'a requeue': () => jobs.requeue(vase.id, 50),
  'an upload': () => jobs.enqueueUpload(makeUpload(1, 'new', { leaseSeconds: 60 })),
  'an upload with quotas': () =>
    jobs.enqueueUpload(
      makeUpload(1, 'limited', { quotas: { ...noQuotas, images: 10 ** 9, bytes: 10 ** 12 } }),
    ),
  'a list of quotas': () => quotas.listByTenant(unrestrictedPrincipal),
  'the tenant of an image': () => images.findTenantId({ uuid: '01a1fb5b-4c11-7d02-8a51-2f1c9d3b7e64' }),
  'an import': () =>
    jobs.enqueueUrls(
      systemPrincipal,
      [{ tenantId: 1, url: 'u', urlHash: sha256Hex('u'), reference: 'page' }],
      'reuse-completed',
      50,
    ),
  'a completion': async () => {
    const upload = await jobs.enqueueUpload(makeUpload(1, 'done', { leaseSeconds: 60 }));
    if ('job' in upload) await jobs.complete(upload.job, [], makeDerivedFacts('done'));
  },
  'an added reference': () => references.add(systemPrincipal, vase.id, 'page'),
  'a deletion': () => deletion.softDelete(unrestrictedPrincipal, { id: 4_001 }, true),
  'a restoration': () => deletion.restore(unrestrictedPrincipal, { id: 4_001 }),
  'a takeover of lost leases': () => jobs.takeOverLostLeases(10, false),
  'a removal of old jobs': () => expiredRows.removeJobs('completed', 7),
  'a removal of old imports': () => expiredRows.removeImports(90),
  'a removal of images without content': () => expiredRows.removeImagesWithoutContent(90),
  'a removal of tenants without images': () => expiredRows.removeTenants(30),
  'a list of originals to check': () => storedFiles.listOriginalsAfter(10_000, 500),
  'a list of files to check': () =>
    storedFiles.listUnused([{ key: 'originals/1/00/5', tenantId: 1, contentHash: sha256Hex('x') }]),
  'a recount of a small tenant': () => recounting.correctUsage(5),
  'a recount of a large tenant': () => recounting.correctUsage(1),
  'a repair of file owners': () => recounting.repairOwners(5),
  'a list of tenants to recount': () => recounting.listTenantsAfter(0, 500),
  'a withdrawal': async () => {
    const upload = await jobs.enqueueUpload(makeUpload(1, 'broken', { leaseSeconds: 60 }));
    if (!('job' in upload)) throw new Error('The content is known.');
    const removeOriginal = () => Promise.resolve();
    await jobs.withdraw(upload.job, { contentHash: sha256Hex('broken'), removeOriginal });
  },
  'a purge of one deleted image': async () => {
    const [candidate] = await purging.listDeleted(null, hourAgo, { limit: 1 });
    await purging.remove(systemPrincipal, candidate!, { deletedBefore: new Date() });
  },
  'a tenant’s audit log': () => audit.list(smallTenant, {}, page),
  'a later page of a tenant’s audit log': () => audit.list(smallTenant, {}, { ...page, after: 9_000 }),
  'the audit log of a tenant by name': () => audit.list(unrestrictedPrincipal, { tenant: 'tenant-7' }, page),
  'the audit log of a key': () => audit.list(unrestrictedPrincipal, { actor: '7' }, page),
  'the audit log of an image': () => audit.list(unrestrictedPrincipal, { target: 'an image' }, page),
  'the audit log of a rare action': () => audit.list(unrestrictedPrincipal, { action: 'key.create' }, page),
  'the audit log of an hour': () => audit.list(unrestrictedPrincipal, { since: hourAgo }, page),
  'an export of a tenant’s audit log': () => audit.listFrom(smallTenant, {}, 9_000),
  'the search for unsealed entries': async () =>
    void (await auditChains.readUnsealed(smallTenant, undefined)),
  sealing: () => auditChains.seal(),
  'the verification of a small chain': () => auditChains.verifyChain(5),
  'the search for a chain': () => auditChains.nextChain(5),
  'the search for a tenant’s chains': () => auditChains.listChainsOf('tenant-7'),
  'a removal of old audit entries': () => auditChains.removeOlderThan(1),
  'a tenant lookup': () => tenants.find('tenant-9'),
};

async function expectNoLargeScan(run: () => Promise<unknown>): Promise<void> {
  const plans = await recordPlans(run);
  expect(plans.length).toBeGreaterThan(0);
  for (const plan of plans) {
    expect(
      seqScannedTables(plan).filter((table) => largeTables.has(table)),
      plan,
    ).toEqual([]);
  }
}

test.each(Object.entries(operations))('does not scan a large table for %s', (_name, run) =>
  expectNoLargeScan(run),
);

/** Operations that only workers, sweeps and administrators perform, and one whose result the first run has cached. */
const unboundOperations =
  /^a (?:claim|takeover|removal|recount|repair|list of (?:tenants|originals|files) to|tenant lookup)/;
const boundOperations = Object.entries(operations).filter(([name]) => !unboundOperations.test(name));
/** The first tenant has no deleted images. */
const tenantOf = (name: string) => (name === 'a purge of one deleted image' ? 5 : 1);

test.each(boundOperations)('does not scan a large table for %s, bound to a tenant', (name, run) =>
  runInTenant(tenantOf(name), () => expectNoLargeScan(run)),
);

test('explains statements that are bound to a tenant', async () => {
  const findByContent = () => images.findByContent(1, sha256Hex('x'));
  const plans = await runInTenant(1, () => recordPlans(findByContent));
  expect(plans.join(), 'the condition of the policy').toMatch(/CASE WHEN .*tenant_id = /);
});

test('detects a plan that scans a table', async () => {
  const [plan] = await recordPlans(() =>
    database.sql.selectFrom('images').select('id').where('original_filename', '=', 'x').execute(),
  );
  expect(seqScannedTables(plan!)).toEqual(['images']);
  expect(await selectRow(filledDatabase, 'SELECT count(*) > 29000 AS filled FROM images')).toEqual({
    filled: true,
  });
});
