import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import type { ClaimedJob } from '../../../src/model/job.ts';
import { type Catalog, makeCatalog } from '../../support/inner/catalog.ts';
import { emptyTables, useDatabase } from '../../support/inner/database.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';
import { isThorough } from '../../support/thoroughness.ts';

const database = await useDatabase();
const tenants = makeTenantQueries(database);
const catalogs = [
  makeCatalog(database, (await tenants.ensure('shop')).id),
  makeCatalog(database, (await tenants.ensure('other')).id),
];
const contents = ['vase', 'lamps', 'shirts'];

/** A claimed job and its content. */
interface JobWithContent {
  readonly job: ClaimedJob;
  readonly content: string;
}

/** The images and claimed jobs of one tenant. */
interface State {
  readonly catalog: Catalog;
  readonly images: { readonly id: number; readonly content: string }[];
  readonly claimedJobs: JobWithContent[];
}

/** Returns the element that `choice` selects, or `undefined` if there are no elements. */
const pick = <T>(elements: readonly T[], choice: number): T | undefined => elements[choice % elements.length];

type Operation = (state: State, content: string, choice: number) => Promise<unknown>;

/** Ends one of the claimed jobs with `finish`. Does nothing if no job is claimed. */
async function endJob(
  state: State,
  choice: number,
  finish: (claimedJob: JobWithContent) => Promise<unknown>,
): Promise<void> {
  const claimedJob = pick(state.claimedJobs, choice);
  if (!claimedJob) return;
  await finish(claimedJob);
  state.claimedJobs.splice(state.claimedJobs.indexOf(claimedJob), 1);
}

/** Derives the renditions of a completed image again, with one of two recipes (hashes of the rendition settings). */
async function rederive({ catalog, images }: State, _content: string, choice: number): Promise<void> {
  const image = pick(images, choice);
  if (!image) return;
  const { id, content } = image;
  await catalog.jobs.requeue(id, 50);
  const [job] = await catalog.jobs.claimDue('derive', 1, 60);
  if (!job) return;
  const recipe = choice < 6 ? '0123456789' : 'ffffffffff';
  const renditions = catalog.makeRenditions(content).map((rendition) => ({
    ...rendition,
    recipe,
    storageKey: rendition.storageKey.replace(rendition.recipe, recipe),
  }));
  await catalog.finish(job, content, renditions);
}

const operations: Record<string, Operation> = {
  upload: async ({ catalog, images, claimedJobs }, content) => {
    const job = await catalog.upload(content).catch(() => undefined);
    if (!job) return;
    claimedJobs.push({ job, content });
    images.push({ id: job.imageId, content });
  },
  import: async ({ catalog, images, claimedJobs }, content) => {
    const job = await catalog.claimImport(`https://example.com/${content}`);
    claimedJobs.push({ job, content });
    images.push({ id: job.imageId, content });
  },
  complete: (state, _content, choice) =>
    endJob(state, choice, async ({ job, content }) => {
      const { catalog } = state;
      if (
        job.kind === 'import' &&
        (await catalog.completeAsDuplicate(job, content)) !== 'first-image-unavailable'
      )
        return;
      if (job.kind === 'import') await catalog.attach(job, content);
      await catalog.finish(job, content);
    }),
  share: (state, _content, choice) =>
    endJob(state, choice, async ({ job, content }) => {
      const { catalog } = state;
      if (job.kind === 'import') await catalog.attach(job, content);
      const olderImages = state.images.filter(({ id }) => id < job.imageId);
      const donor = await catalog.image(pick(olderImages, choice)?.id ?? 0);
      if (
        !donor?.contentHash ||
        (await catalog.completeWithDonor(job, content, donor.id)) === 'donor-unavailable'
      )
        await catalog.finish(job, content);
    }),
  fail: (state, _content, choice) => endJob(state, choice, ({ job }) => state.catalog.fail(job)),
  withdraw: (state, _content, choice) =>
    endJob(state, choice, ({ job, content }) => state.catalog.withdraw(job, content)),
  softDelete: ({ catalog, images }, _content, choice) => catalog.softDelete(pick(images, choice)?.id ?? 0),
  restore: ({ catalog, images }, _content, choice) => catalog.restore(pick(images, choice)?.id ?? 0),
  purge: ({ catalog, images }, _content, choice) => catalog.purge(pick(images, choice)?.id ?? 0),
  rederive,
  fold: ({ catalog }) => catalog.usage.foldDeltas(),
};

async function expectExactCounters(): Promise<void> {
  expect(await usageFromCounters(database)).toEqual(await usageFromRows(database));
}

/** Operations that occur more often than the others. */
const frequentOperations = [
  'upload',
  'upload',
  'import',
  'complete',
  'complete',
  'share',
  'share',
  'rederive',
  'softDelete',
  'restore',
];

const step = fc.record({
  name: fc.constantFrom(...Object.keys(operations), ...frequentOperations),
  // Most steps use the same tenant, so that images interact.
  tenant: fc.constantFrom(0, 0, 0, 1),
  content: fc.constantFrom(...contents),
  choice: fc.nat(11),
});

test('keeps the counters equal to a recount after any sequence of operations', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 40 }), async (steps) => {
      await emptyTables(database);
      const states = catalogs.map((catalog): State => ({ catalog, images: [], claimedJobs: [] }));
      for (const { name, tenant, content, choice } of steps) {
        await operations[name]?.(states[tenant]!, content, choice);
        if (name === 'fold') await expectExactCounters();
      }
      await expectExactCounters();
    }),
    { numRuns: isThorough ? 200 : 20 },
  );
});
