import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { embeddingSpace, fingerprintVersion } from '../../../src/model/fingerprint.ts';
import { unrestrictedPrincipal } from '../../../src/model/principal.ts';
import type { SimilarityOptions } from '../../../src/model/similarity.ts';
import { makeFillCampaigns } from '../../../src/services/campaigns/fill-campaigns.ts';
import { makeStartReindexing } from '../../../src/services/campaigns/reindexings.ts';
import { selectRow, selectRows } from '../../support/inner/database.ts';
import { fixPresets } from '../../support/inner/fix-presets.ts';
import { drawProduct, makeTruncatedPicture, type ProductStyle } from '../../support/inner/pictures.ts';
import { makeRig, type Rig, useTestResources } from '../../support/inner/rig.ts';

const resources = await useTestResources();
const allMatches: SimilarityOptions = { limit: 10, threshold: 0, metric: 'cosine' };
const version = { space: embeddingSpace, fingerprintVersion };
const styles: readonly ProductStyle[] = [{}, { shape: 'mug' }, { quality: 60 }];

/** Creates a rig with three images that an older version has described. */
async function makeOutdatedRig() {
  const rig = await makeRig(resources, { nearDuplicates: 'flag' });
  const ids: number[] = [];
  for (const style of styles) ids.push((await rig.upload(await drawProduct(style))).image.id);
  await rig.database.runScript(`
    UPDATE embeddings SET space = 'older-0';
    UPDATE fingerprints SET version = version - 1, hash = ~hash;
    UPDATE frame_hashes SET hash = ~hash, bands = hash_bands(tenant_id, frame, ~hash)`);
  const fill = makeFillCampaigns({ ...rig, presets: fixPresets(rig.presets) });
  return { rig, ids, fill };
}

async function runJobs({ jobs, runJob }: Rig, count = 100): Promise<string[]> {
  const outcomes = [];
  for (const job of await jobs.claimDue('render', count, 60)) outcomes.push((await runJob(job)).state);
  return outcomes;
}

const findSimilar = (rig: Rig, id: number) =>
  rig.services.findSimilar(unrestrictedPrincipal, { id }, allMatches);
const listSpaces = (rig: Rig) =>
  selectRows(
    rig.database,
    'SELECT space, count(*)::int AS count FROM embeddings GROUP BY space ORDER BY space',
  );
const start = (rig: Rig, isDryRun = false) =>
  rig.services.campaigns.startReindexing(unrestrictedPrincipal, { isDryRun });

test('searches in the old space until all images have been described again, and then removes it', async () => {
  const { rig, ids, fill } = await makeOutdatedRig();
  const [first, second, third] = ids as [number, number, number];
  const before = await findSimilar(rig, first);
  expect(before).toMatchObject({ searched: 2, exact: true });
  expect((await start(rig, true)).images).toBe(3);

  const { campaign } = await start(rig);
  expect(campaign).toMatchObject({ kind: 'reindexing', state: 'running', total: 3, done: 0, presets: [] });
  expect(await runJobs(rig, 1)).toEqual(['completed']);
  expect(await listSpaces(rig)).toEqual([
    { space: embeddingSpace, count: 1 },
    { space: 'older-0', count: 3 },
  ]);
  for (const id of [first, second, third]) expect(await findSimilar(rig, id)).toMatchObject({ searched: 2 });
  // An image that is added meanwhile has no embedding in the old space.
  const added = (await rig.upload(await drawProduct({ shape: 'mug', quality: 50 }))).image.id;
  expect(await findSimilar(rig, added)).toMatchObject({ searched: 1 });

  expect(await runJobs(rig)).toEqual(['completed', 'completed']);
  await fill();
  expect(await rig.services.campaigns.find(unrestrictedPrincipal, campaign!.id)).toMatchObject({
    state: 'completed',
    done: 3,
    failed: 0,
  });
  expect(await listSpaces(rig)).toEqual([{ space: embeddingSpace, count: 4 }]);
  expect(await findSimilar(rig, first)).toMatchObject({ searched: 3 });
  expect((await start(rig, true)).images).toBe(0);
});

test('computes outdated fingerprints again, so that near-duplicates are found by them', async () => {
  const { rig, fill } = await makeOutdatedRig();
  await start(rig);
  await runJobs(rig);
  await fill();
  expect(
    await selectRow(
      rig.database,
      `SELECT count(*) FILTER (WHERE f.version = ${fingerprintVersion} AND h.hash = f.hash)::int AS current
       FROM fingerprints f JOIN frame_hashes h USING (tenant_id, content_hash) WHERE h.frame = 0`,
    ),
  ).toEqual({ current: 3 });
  const { image } = await rig.upload(await drawProduct({ quality: 70 }));
  expect((await rig.image(image.id))!.nearDuplicates.length).toBeGreaterThan(0);
});

test('continues with the other images if one fails, and keeps its old embedding', async () => {
  const { rig, ids, fill } = await makeOutdatedRig();
  await writeFile(rig.filePath((await rig.image(ids[1]!))!.originalKey!), await makeTruncatedPicture());
  const { campaign } = await start(rig);
  await runJobs(rig);
  await fill();
  const report = await rig.services.campaigns.find(unrestrictedPrincipal, campaign!.id);
  expect(report).toMatchObject({ state: 'completed', done: 2, failed: 1, failures: [{ imageId: ids[1] }] });
  expect(await listSpaces(rig)).toEqual([
    { space: embeddingSpace, count: 2 },
    { space: 'older-0', count: 1 },
  ]);
});

test('starts by itself once for each version, and not while everything is up to date', async () => {
  const { rig, fill } = await makeOutdatedRig();
  const startReindexing = makeStartReindexing({ campaigns: rig.campaigns, version, logger: rig.logger });
  const countCampaigns = async () =>
    (await rig.services.campaigns.list(unrestrictedPrincipal, { limit: 10, offset: 0 })).total;
  await startReindexing();
  await startReindexing();
  expect(await countCampaigns()).toBe(1);
  expect(rig.logger.messages().filter((message) => message.startsWith('reindexing'))).toEqual([
    expect.stringMatching(/has started: 3 images were described by another version/),
  ]);
  await fill();
  await runJobs(rig);
  await fill();
  const next = { ...version, fingerprintVersion: fingerprintVersion + 1 };
  await makeStartReindexing({ campaigns: rig.campaigns, version: next, logger: rig.logger })();
  expect(await countCampaigns()).toBe(2);
});

test('after a pause, describes each image once', async () => {
  const { rig, fill } = await makeOutdatedRig();
  const { campaign } = await start(rig);
  await runJobs(rig, 1);
  const { campaigns } = rig.services;
  await campaigns.pause(unrestrictedPrincipal, campaign!.id);
  expect(await runJobs(rig)).toEqual([]);
  await campaigns.resume(unrestrictedPrincipal, campaign!.id);
  expect(await runJobs(rig)).toEqual(['completed', 'completed']);
  await fill();
  expect(await campaigns.find(unrestrictedPrincipal, campaign!.id)).toMatchObject({
    state: 'completed',
    done: 3,
  });
});
