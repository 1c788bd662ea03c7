import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import type { ClaimedJob } from '../../../src/model/job.ts';
import { unrestrictedPrincipal, systemPrincipal } from '../../../src/model/principal.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { selectRows, useDatabase } from '../../support/inner/database.ts';
import { makeFailedAttempt, claimOne, recordPending } from '../../support/inner/jobs.ts';
import {
  makeFetchedContent,
  makeDerivedFacts,
  sha256Hex,
  makeRendition,
  makeUpload,
} from '../../support/inner/records.ts';

const database = await useDatabase();
const tenants = makeTenantQueries(database);
const shop = await tenants.ensure('shop');
const otherTenant = await tenants.ensure('other');
const catalog = makeCatalog(database, shop.id);
const { expiredRows, images, jobs, purging, references } = catalog;

/** The ids of a job and its image. An id is undefined until its row exists. */
interface RowIds {
  readonly jobId?: number;
  readonly imageId?: number;
}

/** A query and the rows that it changes. A query that inserts rows returns their ids. */
interface Transition extends RowIds {
  readonly run: () => Promise<unknown>;
}

const renditions = [makeRendition(shop.id, 'vase', 'thumb')];
const facts = makeDerivedFacts('vase');
const removal = { contentHash: sha256Hex('vase'), removeOriginal: () => Promise.resolve() };
const duplicate = { contentHash: sha256Hex('lamp'), filename: 'lamp.jpg' };
const delayedRetry = { state: 'pending', delaySeconds: 60, counter: 'retries' } as const;
const url = {
  tenantId: shop.id,
  url: 'https://example.com/vase',
  urlHash: sha256Hex('url'),
  reference: undefined,
};
const tomorrow = () => new Date(Date.now() + 86_400_000);

const toRowIds = ({ id, imageId }: ClaimedJob): RowIds => ({ jobId: id, imageId });
const makePendingJob = (): Promise<{ jobId: number; imageId: number }> =>
  recordPending(database, shop.id, 'vase');
const makeClaimedJob = (): Promise<ClaimedJob> => catalog.upload('vase');

async function makeClaimedImportJob(): Promise<ClaimedJob> {
  return catalog.claimImport('https://example.com/vase');
}

async function makeFailedJob(): Promise<ClaimedJob> {
  const job = await makeClaimedJob();
  await catalog.fail(job);
  return job;
}

async function makeCompletedJob(): Promise<ClaimedJob> {
  const job = await makeClaimedJob();
  await catalog.finish(job, 'vase');
  return job;
}

/** Claims a second job for a completed image. */
async function claimSecondJob(): Promise<ClaimedJob> {
  const { imageId } = await makeCompletedJob();
  await jobs.requeue(imageId, 50);
  return claimOne(database);
}

/** Claims a job that makes a variant of a completed image. */
async function claimRenderJob(): Promise<ClaimedJob> {
  const { imageId } = await makeCompletedJob();
  await enqueueRender(imageId);
  return claimOne(database, 60, 'render');
}

const enqueueRender = (imageId: number) =>
  jobs.enqueueRender({
    imageId,
    variants: [{ preset: 'thumb', format: 'webp', density: 1 }],
    priority: 200,
  });

/** Makes a job older than any retention period. */
async function expireJob({ id }: ClaimedJob): Promise<void> {
  await database.runScript(`UPDATE jobs SET finished_at = now() - interval '100 days' WHERE id = ${id}`);
}

async function completeWithSharedRenditions(job: ClaimedJob, donorId: number) {
  const donor = await images.find(unrestrictedPrincipal, { id: donorId });
  return jobs.completeWithSharedRenditions(job, donorId, donor?.renditions ?? [], facts);
}

async function findPurgeCandidate(imageId: number) {
  const [candidate] = await purging.listDeleted(null, tomorrow(), { limit: 1 });
  expect(candidate?.id).toBe(imageId);
  return candidate!;
}

const transitions: Readonly<Record<string, () => Promise<Transition>>> = {
  'enqueueUpload, queued': () =>
    Promise.resolve({ run: () => jobs.enqueueUpload(makeUpload(shop.id, 'vase')) }),
  'enqueueUpload, inline': () =>
    Promise.resolve({
      run: () => jobs.enqueueUpload(makeUpload(shop.id, 'vase', { leaseSeconds: 60 })),
    }),
  'enqueueUpload, queued, for a failed image': async () => ({
    imageId: (await makeFailedJob()).imageId,
    run: () => jobs.enqueueUpload(makeUpload(shop.id, 'vase')),
  }),
  'enqueueUpload, inline, for a failed image': async () => ({
    imageId: (await makeFailedJob()).imageId,
    run: () => jobs.enqueueUpload(makeUpload(shop.id, 'vase', { leaseSeconds: 60 })),
  }),
  enqueueUrls: () =>
    Promise.resolve({
      run: async () => (await jobs.enqueueUrls(systemPrincipal, [url], 'reuse-completed', 100))[0],
    }),
  requeue: async () => {
    const { imageId } = await makeCompletedJob();
    return { imageId, run: async () => ({ imageId, job: await jobs.requeue(imageId, 50) }) };
  },
  enqueueRender: async () => {
    const { imageId } = await makeCompletedJob();
    return { imageId, run: async () => ({ imageId, job: await enqueueRender(imageId) }) };
  },
  'claimDue, first run': async () => ({
    ...(await makePendingJob()),
    run: () => jobs.claimDue('derive', 1, 60),
  }),
  'claimDue, completed image': async () => {
    const { imageId } = await makeCompletedJob();
    const job = await jobs.requeue(imageId, 50);
    return { jobId: job!.id, imageId, run: () => jobs.claimDue('derive', 1, 60) };
  },
  'claimDue, render job': async () => {
    const { imageId } = await makeCompletedJob();
    const job = await enqueueRender(imageId);
    return { jobId: job!.id, imageId, run: () => jobs.claimDue('render', 1, 60) };
  },
  renewLeases: async () => {
    const job = await makeClaimedJob();
    return { ...toRowIds(job), run: () => jobs.renewLeases([job], 60) };
  },
  attachContent: async () => {
    const job = await makeClaimedImportJob();
    return { ...toRowIds(job), run: () => jobs.attachContent(job, makeFetchedContent(shop.id, 'vase')) };
  },
  complete: async () => {
    const job = await makeClaimedJob();
    return { ...toRowIds(job), run: () => jobs.complete(job, renditions, facts) };
  },
  completeWithSharedRenditions: async () => {
    const donorId = await catalog.add('lamp');
    const job = await makeClaimedJob();
    return { ...toRowIds(job), run: () => completeWithSharedRenditions(job, donorId) };
  },
  completeAsDuplicate: async () => {
    await catalog.add('lamp');
    const job = await makeClaimedImportJob();
    return { ...toRowIds(job), run: () => jobs.completeAsDuplicate(job, duplicate) };
  },
  completeRender: async () => {
    const job = await claimRenderJob();
    return { ...toRowIds(job), run: () => jobs.completeRender(job) };
  },
  'completeDescription, render job of a reindexing': async () => {
    const job = await claimRenderJob();
    return { ...toRowIds(job), run: () => jobs.completeDescription(job, facts) };
  },
  'recordFailure, retry': async () => {
    const job = await makeClaimedJob();
    return {
      ...toRowIds(job),
      run: () => jobs.recordFailure(job, makeFailedAttempt('transient'), delayedRetry),
    };
  },
  'recordFailure, final': async () => {
    const job = await makeClaimedJob();
    return { ...toRowIds(job), run: () => catalog.fail(job) };
  },
  'recordFailure, retry, completed image': async () => {
    const job = await claimSecondJob();
    return {
      ...toRowIds(job),
      run: () => jobs.recordFailure(job, makeFailedAttempt('transient'), delayedRetry),
    };
  },
  'recordFailure, final, completed image': async () => {
    const job = await claimSecondJob();
    return { ...toRowIds(job), run: () => catalog.fail(job) };
  },
  'recordFailure, final, render job': async () => {
    const job = await claimRenderJob();
    return { ...toRowIds(job), run: () => catalog.fail(job) };
  },
  handBack: async () => {
    const job = await makeClaimedJob();
    return { ...toRowIds(job), run: () => jobs.handBack([job]) };
  },
  'handBack, completed image': async () => {
    const job = await claimSecondJob();
    return { ...toRowIds(job), run: () => jobs.handBack([job]) };
  },
  withdraw: async () => {
    const job = await makeClaimedJob();
    return { ...toRowIds(job), run: () => jobs.withdraw(job, removal) };
  },
  takeOverLostLeases: async () => ({
    ...toRowIds(await makeClaimedJob()),
    run: () => jobs.takeOverLostLeases(10, true),
  }),
  'takeOverLostLeases, completed image': async () => ({
    ...toRowIds(await claimSecondJob()),
    run: () => jobs.takeOverLostLeases(10, true),
  }),
  'takeOverLostLeases, after too many lost leases': async () => ({
    ...toRowIds(await makeClaimedJob()),
    run: () => jobs.takeOverLostLeases(1, true),
  }),
  'takeOverLostLeases, render job, after too many lost leases': async () => ({
    ...toRowIds(await claimRenderJob()),
    run: () => jobs.takeOverLostLeases(1, true),
  }),
  retry: async () => {
    const job = await makeFailedJob();
    return { ...toRowIds(job), run: () => jobs.retry(unrestrictedPrincipal, job.id) };
  },
  'retry, render job': async () => {
    const job = await claimRenderJob();
    await catalog.fail(job);
    return { ...toRowIds(job), run: () => jobs.retry(unrestrictedPrincipal, job.id) };
  },
  retryAll: async () => ({
    ...toRowIds(await makeFailedJob()),
    run: () => jobs.retryAll(unrestrictedPrincipal, { failureClass: 'permanent' }),
  }),
  'expiredRows.removeJobs, completed': async () => {
    const job = await makeCompletedJob();
    await expireJob(job);
    return { ...toRowIds(job), run: () => expiredRows.removeJobs('completed', 30) };
  },
  'expiredRows.removeJobs, failed': async () => {
    const job = await makeFailedJob();
    await expireJob(job);
    return { ...toRowIds(job), run: () => expiredRows.removeJobs('failed', 30) };
  },
};

const deletedImageTransitions: typeof transitions = {
  'claimDue, deleted image': async () => {
    const rows = await makePendingJob();
    await catalog.softDelete(rows.imageId);
    return { ...rows, run: () => jobs.claimDue('derive', 1, 60) };
  },
  'complete, deleted image': async () => {
    const job = await makeClaimedJob();
    await catalog.softDelete(job.imageId);
    return { ...toRowIds(job), run: () => jobs.complete(job, renditions, facts) };
  },
  'recordFailure, deleted image': async () => {
    const job = await makeClaimedJob();
    await catalog.softDelete(job.imageId);
    return { ...toRowIds(job), run: () => catalog.fail(job) };
  },
  'takeOverLostLeases, deleted image': async () => {
    const job = await makeClaimedJob();
    await catalog.softDelete(job.imageId);
    return { ...toRowIds(job), run: () => jobs.takeOverLostLeases(10, true) };
  },
  'purging.remove, failed job': async () => {
    const job = await makeFailedJob();
    await catalog.softDelete(job.imageId);
    const candidate = await findPurgeCandidate(job.imageId);
    return {
      ...toRowIds(job),
      run: () => purging.remove(systemPrincipal, candidate, { deletedBefore: tomorrow() }),
    };
  },
};

/** Ways in which a worker loses its lease. */
const leaseLosses: Readonly<Record<string, (job: ClaimedJob) => Promise<unknown>>> = {
  'another process has claimed the job': async ({ kind }) => {
    await jobs.takeOverLostLeases(10, true);
    await claimOne(database, 60, kind);
  },
  'the job is pending again': () => jobs.takeOverLostLeases(10, true),
  'the job has completed': (job) =>
    job.kind === 'import' ? jobs.completeAsDuplicate(job, duplicate) : jobs.complete(job, renditions, facts),
  'the job has failed': (job) => catalog.fail(job),
};

const writesWithLease: Readonly<Record<string, (job: ClaimedJob, donorId: number) => Promise<unknown>>> = {
  renewLeases: (job) => jobs.renewLeases([job], 60),
  attachContent: (job) => jobs.attachContent(job, makeFetchedContent(shop.id, 'vase')),
  complete: (job) => jobs.complete(job, renditions, facts),
  completeWithSharedRenditions: (job, donorId) => completeWithSharedRenditions(job, donorId),
  completeAsDuplicate: (job) => jobs.completeAsDuplicate(job, duplicate),
  completeRender: (job) => jobs.completeRender(job),
  completeDescription: (job) => jobs.completeDescription(job, facts),
  recordFailure: (job) => catalog.fail(job),
  handBack: async (job) => {
    await jobs.handBack([job]);
    return [];
  },
  withdraw: (job) => jobs.withdraw(job, removal),
};

type PrepareCase = () => Promise<() => Promise<unknown>>;
const claim = () => jobs.claimDue('derive', 1, 60);
const enqueueAgain = () => jobs.enqueueUpload(makeUpload(shop.id, 'vase'));
const withdrawJob = (job: ClaimedJob) => () => jobs.withdraw(job, removal);

const casesWithoutTransition: Readonly<Record<string, PrepareCase>> = {
  'enqueueUpload: the image with this content is pending': async () => {
    await makePendingJob();
    return enqueueAgain;
  },
  'enqueueUpload: the image with this content has been processed': async () => {
    await makeCompletedJob();
    return enqueueAgain;
  },
  'enqueueUrls: the URL is being imported, and the policy is reuse-completed': async () => {
    await jobs.enqueueUrls(systemPrincipal, [url], 'reuse-completed', 100);
    return async () => (await jobs.enqueueUrls(systemPrincipal, [url], 'reuse-completed', 100))[0];
  },
  'enqueueUrls: the URL is being imported, and the policy is reject-active': async () => {
    await jobs.enqueueUrls(systemPrincipal, [url], 'reject-active', 100);
    return async () => (await jobs.enqueueUrls(systemPrincipal, [url], 'reject-active', 100))[0];
  },
  'enqueueUrls: the URL has been imported, and the policy is reuse-completed': async () => {
    await jobs.enqueueUrls(systemPrincipal, [url], 'reuse-completed', 100);
    const job = await claimOne(database, 60, 'import');
    await jobs.attachContent(job, makeFetchedContent(shop.id, 'vase'));
    await jobs.complete(job, renditions, facts);
    return async () => (await jobs.enqueueUrls(systemPrincipal, [url], 'reuse-completed', 100))[0];
  },
  'requeue: the image has a pending job': async () => {
    const { imageId } = await makePendingJob();
    return () => jobs.requeue(imageId, 50);
  },
  'requeue: the image has a job that is being processed': async () => {
    const { imageId } = await makeClaimedJob();
    return () => jobs.requeue(imageId, 50);
  },
  'requeue: the image has failed': async () => {
    const { imageId } = await makeFailedJob();
    return () => jobs.requeue(imageId, 50);
  },
  'claimDue: the job is waiting for its retry': async () => {
    await jobs.recordFailure(await makeClaimedJob(), makeFailedAttempt('transient'), delayedRetry);
    return claim;
  },
  'claimDue: the job is of a different kind': async () => {
    await jobs.enqueueUrls(systemPrincipal, [url], 'reuse-completed', 100);
    return claim;
  },
  'claimDue: the job is being processed': async () => {
    await makeClaimedJob();
    return claim;
  },
  'claimDue: the job has completed': async () => {
    await makeCompletedJob();
    return claim;
  },
  'claimDue: the job has failed': async () => {
    await makeFailedJob();
    return claim;
  },
  'completeWithSharedRenditions: the donor was deleted': async () => {
    const donorId = await catalog.add('lamp');
    const donor = await images.find(unrestrictedPrincipal, { id: donorId });
    const job = await makeClaimedJob();
    await catalog.softDelete(donorId);
    return () => jobs.completeWithSharedRenditions(job, donorId, donor!.renditions, facts);
  },
  'completeWithSharedRenditions: the donor’s renditions have changed since they were compared': async () => {
    const donorId = await catalog.add('lamp');
    const job = await makeClaimedJob();
    return () =>
      jobs.completeWithSharedRenditions(job, donorId, [makeRendition(shop.id, 'chair', 'thumb')], facts);
  },
  'completeAsDuplicate: the first image with this content was deleted': async () => {
    const firstId = await catalog.add('lamp');
    const job = await makeClaimedImportJob();
    await catalog.softDelete(firstId);
    return () => jobs.completeAsDuplicate(job, duplicate);
  },
  'withdraw: the image’s id was returned to a client': async () => {
    const job = await makeClaimedJob();
    await images.acknowledge(job.imageId);
    return withdrawJob(job);
  },
  'withdraw: the image has a reference': async () => {
    const job = await makeClaimedJob();
    await references.add(systemPrincipal, job.imageId, 'product-42');
    return withdrawJob(job);
  },
  'withdraw: the image was deleted': async () => {
    const job = await makeClaimedJob();
    await catalog.softDelete(job.imageId);
    return withdrawJob(job);
  },
  'takeOverLostLeases: the lease is valid': async () => {
    await makeClaimedJob();
    return () => jobs.takeOverLostLeases(10, false);
  },
  'takeOverLostLeases: the job is pending': async () => {
    await makePendingJob();
    return () => jobs.takeOverLostLeases(10, true);
  },
  'takeOverLostLeases: the job has completed': async () => {
    await makeCompletedJob();
    return () => jobs.takeOverLostLeases(10, true);
  },
  'takeOverLostLeases: the job has failed': async () => {
    await makeFailedJob();
    return () => jobs.takeOverLostLeases(10, true);
  },
  'retry: the job is pending': async () => {
    const { jobId } = await makePendingJob();
    return () => jobs.retry(unrestrictedPrincipal, jobId);
  },
  'retry: the job is being processed': async () => {
    const { id } = await makeClaimedJob();
    return () => jobs.retry(unrestrictedPrincipal, id);
  },
  'retry: the job has completed': async () => {
    const { id } = await makeCompletedJob();
    return () => jobs.retry(unrestrictedPrincipal, id);
  },
  'retry: the image was deleted': async () => {
    const { id, imageId } = await makeFailedJob();
    await catalog.softDelete(imageId);
    return () => jobs.retry(unrestrictedPrincipal, id);
  },
  'retry: the image has a newer job': async () => {
    const { id } = await makeFailedJob();
    await catalog.fail(await makeClaimedJob());
    return () => jobs.retry(unrestrictedPrincipal, id);
  },
  'retry: the job belongs to another tenant': async () => {
    const { id } = await makeFailedJob();
    return () => jobs.retry({ ...unrestrictedPrincipal, tenantId: otherTenant.id }, id);
  },
  'retryAll: no job matches the filter': async () => {
    await makeFailedJob();
    return () => jobs.retryAll(unrestrictedPrincipal, { failureClass: 'crash' });
  },
  'purging.remove: the image has a pending job': async () => {
    const { imageId } = await makePendingJob();
    await catalog.softDelete(imageId);
    const candidate = await findPurgeCandidate(imageId);
    return () => purging.remove(systemPrincipal, candidate, { deletedBefore: tomorrow() });
  },
  'purging.remove: the image has a job that is being processed': async () => {
    const { imageId } = await makeClaimedJob();
    await catalog.softDelete(imageId);
    const candidate = await findPurgeCandidate(imageId);
    return () => purging.remove(systemPrincipal, candidate, { deletedBefore: tomorrow() });
  },
  'expiredRows.removeJobs: the job ended too recently': async () => {
    await makeCompletedJob();
    return () => expiredRows.removeJobs('completed', 30);
  },
};

const document = readFileSync(new URL('../../../docs/state-machine.md', import.meta.url), 'utf8');

/** The cells of a table row, without backticks. */
type Row = [name: string, second: string, third: string, ...more: string[]];

/** Returns the rows of the table below a heading. */
function readTable(heading: string): Row[] {
  const section = document.split('\n## ').find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('| `'));
  return lines.map((line) => {
    const [, name = '', second = '', third = '', ...more] = line.replaceAll('`', '').split('|');
    return [name, second, third, ...more.slice(0, -1)].map((cell) => cell.trim()) as Row;
  });
}

/** Returns the name of the query in a case name such as `claimDue, first run`. */
function parseQueryName(name: string): string {
  return name.replace(/,.*$/, '');
}

/** Describes a query result in the terms that docs/state-machine.md uses. */
function describeResult(result: unknown): unknown {
  if (Array.isArray(result) && result.length === 0) return 'nothing';
  if (result instanceof Set && result.size === 0) return 'nothing';
  if (typeof result !== 'object' || result === null) return String(result);
  if ('requeued' in result && 'failed' in result && result.failed === 0) return 'nothing';
  return 'outcome' in result ? result.outcome : result;
}

async function readStates({ jobId, imageId }: RowIds) {
  const [job] = await selectRows<{ state: string }>(
    database,
    `SELECT state FROM jobs WHERE id = ${jobId ?? 0}`,
  );
  const [image] = await selectRows<{ status: string }>(
    database,
    `SELECT status FROM images WHERE id = ${imageId ?? 0}`,
  );
  return { job: job?.state ?? '–', image: image?.status ?? '–' };
}

/** Runs a transition and returns the states of the job and the image before and after it. */
async function runTransition(prepare: () => Promise<Transition>) {
  const { run, ...rows } = await prepare();
  const statesBefore = await readStates(rows);
  const result = (await run()) as { job?: { id: number }; imageId?: number } | undefined;
  const isInserted = rows.jobId === undefined && result?.job;
  const statesAfter = await readStates(
    isInserted ? { jobId: result.job!.id, imageId: result.imageId! } : rows,
  );
  return {
    job: `${statesBefore.job} → ${statesAfter.job}`,
    image: `${statesBefore.image} → ${statesAfter.image}`,
  };
}

/** Returns all rows that a query without a transition must leave unchanged. */
async function selectAllRows() {
  const tables = ['jobs', 'images', 'renditions', 'fingerprints', 'near_duplicates', 'image_references'];
  return Promise.all(tables.map((table) => selectRows(database, `SELECT * FROM ${table} ORDER BY 1, 2`)));
}

/** On PostgreSQL, these tests run only in CI, because they give the same results as on the embedded database. */
const options = process.env['TEST_ENGINE'] === 'postgres' ? { tags: 'scenario' } : {};

describe('transitions', options, () => {
  const documentedRows = readTable('Transitions');

  test('are documented exactly as tested here', () => {
    expect(documentedRows.map(([name]) => name)).toEqual(Object.keys(transitions));
  });

  test('are the same in the diagram and in the table', () => {
    const arrows = document.matchAll(/^  (\S+) --> (\S+): (.+)$/gm);
    const diagramTransitions = Array.from(arrows, ([, from = '', to = '', queries = '']) =>
      queries.split(', ').map((query) => `${query.split(' ')[0]}: ${from} → ${to}`.replace('[*]', '–')),
    );
    const tableTransitions = documentedRows.map(([name, job]) => `${parseQueryName(name)}: ${job}`);
    expect(diagramTransitions.flat().toSorted()).toEqual([...new Set(tableTransitions)].toSorted());
  });

  test.each(documentedRows)('%s: job %s, image %s', async (name, job, image) => {
    expect(await runTransition(transitions[name]!)).toEqual({ job, image });
  });

  test.each(documentedRows)(
    '%s is implemented in the documented file and checks the lease token as documented',
    (...row) => {
      const [name, , , , file, fence] = row;
      const source = readFileSync(new URL(`../../../src/db/jobs/${file}`, import.meta.url), 'utf8');
      const query = parseQueryName(name).replace(/^.*\./, '');
      expect(source).toMatch(new RegExp(`^    (async )?${query}[:(]`, 'm'));
      expect(/\b(heldBy|lockHeldJob)\(/.test(source)).toBe(fence === 'token');
    },
  );
});

describe('deleted images', options, () => {
  const documentedRows = readTable('Deleted images');

  test('are documented exactly as tested here', () => {
    expect(documentedRows.map(([name]) => name)).toEqual(Object.keys(deletedImageTransitions));
  });

  test.each(documentedRows)('%s: job %s, image %s', async (name, job, image) => {
    expect(await runTransition(deletedImageTransitions[name]!)).toEqual({ job, image });
    expect(await selectRows(database, 'SELECT 1 FROM images WHERE deleted_at IS NULL')).toEqual([]);
  });
});

describe('queries after a lost lease', options, () => {
  const documentedRows = readTable('After losing the lease');

  test('include every query that checks the lease token', () => {
    const fencedRows = readTable('Transitions').filter(([, , , , , fence]) => fence === 'token');
    const queries = new Set(fencedRows.map(([name]) => parseQueryName(name)));
    expect(new Set(documentedRows.map(([name]) => name))).toEqual(queries);
    expect(documentedRows.map(([name]) => name)).toEqual(Object.keys(writesWithLease));
  });

  const cases = documentedRows.flatMap(([name, result]) =>
    Object.keys(leaseLosses).map((loss) => [name, result, loss] as const),
  );

  test.each(cases)('%s returns %s and changes nothing when %s', async (name, result, loss) => {
    const donorId = await catalog.add('lamp');
    const job =
      name === 'attachContent' || name === 'completeAsDuplicate'
        ? await makeClaimedImportJob()
        : await makeClaimedJob();
    await leaseLosses[loss]!(job);
    const rowsBefore = await selectAllRows();
    expect(describeResult(await writesWithLease[name]!(job, donorId))).toBe(result);
    expect(await selectAllRows()).toEqual(rowsBefore);
  });
});

describe('cases without a transition', options, () => {
  const documentedRows = readTable('Cases without a transition').map(
    ([query, reason, result]) => [`${query}: ${reason}`, result] as const,
  );

  test('are documented exactly as tested here', () => {
    expect(documentedRows.map(([name]) => name)).toEqual(Object.keys(casesWithoutTransition));
  });

  test.each(documentedRows)('%s → %s', async (name, result) => {
    const run = await casesWithoutTransition[name]!();
    const rowsBefore = await selectAllRows();
    expect(describeResult(await run())).toBe(result);
    expect(await selectAllRows()).toEqual(rowsBefore);
  });
});

test('increments the lease token on each claim', async () => {
  const job = await makeClaimedJob();
  await jobs.handBack([job]);
  expect(await claimOne(database)).toMatchObject({ id: job.id, leaseToken: job.leaseToken + 1 });
});
