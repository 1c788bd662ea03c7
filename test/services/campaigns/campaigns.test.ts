import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { AppError } from '../../../src/errors.ts';
import { makePreset, type Preset } from '../../../src/model/preset.ts';
import { unrestrictedPrincipal } from '../../../src/model/principal.ts';
import { makeFillCampaigns } from '../../../src/services/campaigns/fill-campaigns.ts';
import { fixPresets } from '../../support/inner/fix-presets.ts';
import { selectRows } from '../../support/inner/database.ts';
import { makeTruncatedPicture, makeUniquePicture } from '../../support/inner/pictures.ts';
import { makeRig, type Rig, useTestResources } from '../../support/inner/rig.ts';

const resources = await useTestResources();

const makeCard = (side: number): Preset =>
  makePreset({ name: 'card', width: side, height: side, formats: ['jpeg', 'webp'], eager: 'first' });

/** Creates a rig with `count` images. Returns functions that change the preset and run the campaign's jobs. */
async function makeCampaignRig(count: number) {
  const presets = [makeCard(40)];
  const rig = await makeRig(resources, { presets, nearDuplicates: 'flag' });
  const imageIds: number[] = [];
  for (let i = 0; i < count; i++) imageIds.push((await rig.upload(await makeUniquePicture())).image.id);
  const fill = makeFillCampaigns({ ...rig, presets: fixPresets(presets) });
  return { rig, imageIds, fill, changeCard: (side: number) => presets.splice(0, 1, makeCard(side)) };
}

async function runRenderJobs({ jobs, runJob }: Rig): Promise<string[]> {
  const outcomes = [];
  for (const job of await jobs.claimDue('render', 100, 60)) outcomes.push((await runJob(job)).state);
  return outcomes;
}

const cardsOf = async (rig: Rig, imageId: number) =>
  (await rig.image(imageId))!.renditions.map(({ preset, width, format }) => ({ preset, width, format }));

const start = (rig: Rig, isDryRun = false) =>
  rig.services.campaigns.start(unrestrictedPrincipal, { presets: ['card'], isDryRun });

test('has nothing to do while the preset is unchanged', async () => {
  const { rig } = await makeCampaignRig(1);
  const { estimate, campaign } = await start(rig);
  expect(estimate).toMatchObject({ images: 0, files: [], bytes: 0 });
  expect(campaign).toMatchObject({ state: 'completed', total: 0, done: 0, remainingSeconds: null });
});

test('estimates from measured figures, and makes the changed renditions again', async () => {
  const { rig, imageIds, fill, changeCard } = await makeCampaignRig(2);
  changeCard(60);
  const bytes = (await rig.image(imageIds[0]!))!.renditions.reduce(
    (sum, rendition) => sum + rendition.bytes,
    0,
  );
  const { estimate, campaign: none } = await start(rig, true);
  expect(none).toBeUndefined();
  expect(estimate.images).toBe(2);
  expect(estimate.files).toMatchObject([{ preset: 'card', format: 'jpeg', files: 2 }]);
  expect(estimate.bytes).toBeGreaterThan(bytes);
  expect(estimate.workSeconds).toBeGreaterThan(0);

  const { campaign } = await start(rig);
  expect(campaign).toMatchObject({ state: 'running', total: 2, done: 0, createdBy: 'open' });
  expect(await runRenderJobs(rig)).toEqual(['completed', 'completed']);
  await fill();
  await fill();
  const report = await rig.services.campaigns.find(unrestrictedPrincipal, campaign!.id);
  expect(report).toMatchObject({ state: 'completed', total: 2, done: 2, failed: 0, failures: [] });
  for (const id of imageIds)
    expect(await cardsOf(rig, id)).toEqual([{ preset: 'card', width: 60, format: 'jpeg' }]);
  expect((await start(rig, true)).estimate.images).toBe(0);
});

test('does not make again what was made before a job was interrupted', async () => {
  const { rig, imageIds, changeCard } = await makeCampaignRig(1);
  changeCard(60);
  await start(rig);
  const [job] = await rig.jobs.claimDue('render', 1, 60);
  await rig.runJob(job!);
  // PostgreSQL changes `xmin` whenever it writes a row.
  const readVersions = () =>
    selectRows(
      rig.database,
      `SELECT id, xmin::text FROM renditions WHERE image_id = ${imageIds[0]} ORDER BY id`,
    );
  const before = await readVersions();
  // As if the worker had been killed after it had recorded the rendition, and before it had completed the job.
  await rig.database.runScript(`UPDATE jobs SET state = 'pending', finished_at = NULL WHERE id = ${job!.id}`);
  expect(await runRenderJobs(rig)).toEqual(['completed']);
  expect(await readVersions()).toEqual(before);
});

test('reports an image that fails, and continues with the others', async () => {
  const { rig, imageIds, fill, changeCard } = await makeCampaignRig(3);
  const [, badId] = imageIds;
  const original = (await rig.image(badId!))!.originalKey!;
  await writeFile(rig.filePath(original), await makeTruncatedPicture());
  changeCard(60);
  const { campaign } = await start(rig);
  await runRenderJobs(rig);
  await fill();
  await fill();
  const report = await rig.services.campaigns.find(unrestrictedPrincipal, campaign!.id);
  expect(report).toMatchObject({ state: 'completed', total: 3, done: 2, failed: 1 });
  expect(report.failures).toMatchObject([{ imageId: badId, code: 'picture_cut' }]);
  expect(await rig.image(badId!)).toMatchObject({ status: 'completed' });
  expect(await cardsOf(rig, badId!)).toEqual([{ preset: 'card', width: 40, format: 'jpeg' }]);
});

test('processes images whose preset has been added since', async () => {
  const presets = [makeCard(40)];
  const rig = await makeRig(resources, { presets });
  const { image } = await rig.upload(await makeUniquePicture());
  presets.push(makePreset({ name: 'hero', width: 90, height: 90 }));
  const request = { presets: ['hero'], isDryRun: false };
  const { estimate } = await rig.services.campaigns.start(unrestrictedPrincipal, request);
  expect(estimate).toMatchObject({
    images: 1,
    bytes: null,
    files: [{ preset: 'hero', files: 1, bytes: null }],
  });
  await runRenderJobs(rig);
  expect(await cardsOf(rig, image.id)).toContainEqual({ preset: 'hero', width: 90, format: 'jpeg' });
});

test('lets a caller of a tenant process only the images of this tenant', async () => {
  const { rig, changeCard } = await makeCampaignRig(1);
  await rig.upload(await makeUniquePicture(), { tenantName: 'other' });
  changeCard(60);
  const tenant = await rig.tenants.ensure('other');
  const caller = { ...unrestrictedPrincipal, tenantId: tenant.id, tenantName: 'other' };
  const request = { presets: ['card'], isDryRun: false };
  const { campaign, estimate } = await rig.services.campaigns.start(caller, request);
  expect(estimate.images).toBe(1);
  expect(campaign).toMatchObject({ tenant: 'other', total: 1 });
  await expect(rig.services.campaigns.start(caller, { ...request, tenant: 'shop' })).rejects.toMatchObject({
    code: 'tenant_not_allowed',
  });
  const all = await start(rig);
  await expect(rig.services.campaigns.find(caller, all.campaign!.id)).rejects.toThrow(AppError);
});
