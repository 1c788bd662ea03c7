import sharp from 'sharp';
import { beforeEach, expect, test } from 'vitest';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import type { IntakeRules } from '../../src/model/intake-rules.ts';
import { selectRow } from '../support/inner/database.ts';
import { claimOne } from '../support/inner/jobs.ts';
import { startOrigin } from '../support/inner/origin.ts';
import { makeRig, type Rig, useTestResources } from '../support/inner/rig.ts';

const resources = await useTestResources();
const { database } = resources;
const rejecting: IntakeRules = { max_fill: { action: 'reject', limit: 0.3 } };
const warning: IntakeRules = { max_fill: { action: 'warn', limit: 0.3 } };
const sentence =
  'The fraction of the image that the product covers is 0.49, but the rule max_fill requires at most 0.3.';

let seed = 0;
beforeEach(() => void seed++);

/** Draws a square that covers 49 % of the picture. */
async function drawSquare(): Promise<Buffer> {
  const square = {
    width: 140,
    height: 140,
    channels: 3,
    background: { r: 20 + seed, g: 60, b: 90 },
  } as const;
  return sharp({ create: square })
    .extend({ top: 30, bottom: 30, left: 30, right: 30, background: '#ffffff' })
    .png()
    .toBuffer();
}

async function setRules(rig: Rig, intake_rules: IntakeRules): Promise<void> {
  await rig.tenants.ensure('shop');
  await rig.services.tenantSettings.replace(unrestrictedPrincipal, 'shop', { intake_rules });
}

const countImages = () => selectRow<{ count: number }>(database, 'SELECT count(*) AS count FROM images');

test('without rules, an image has facts and no warnings', async () => {
  const rig = await makeRig(resources);
  const { image } = await rig.upload(await drawSquare());
  expect(image).toMatchObject({ intakeFacts: { fill: 0.49, background: { kind: 'white' } }, warnings: [] });
  expect(await rig.image(image.id)).toEqual(image);
});

test('a rule that warns adds a warning to the record, and none to images of other tenants', async () => {
  const rig = await makeRig(resources);
  await setRules(rig, { ...warning, min_span: { action: 'reject', limit: 0.5 } });
  const bytes = await drawSquare();
  const { image } = await rig.upload(bytes);
  expect(image.warnings).toEqual([{ rule: 'max_fill', limit: 0.3, value: 0.49 }]);
  expect(await rig.image(image.id)).toEqual(image);
  expect((await rig.upload(bytes, { tenantName: 'other' })).image.warnings).toEqual([]);
});

test('a rule that rejects refuses an inline upload, and nothing is kept', async () => {
  const rig = await makeRig(resources);
  await setRules(rig, rejecting);
  const { count } = await countImages();
  await expect(rig.upload(await drawSquare())).rejects.toMatchObject({
    code: 'picture_rejected',
    status: 400,
    message: sentence,
    details: { violations: [{ rule: 'max_fill', limit: 0.3, value: 0.49 }] },
  });
  expect(await countImages()).toEqual({ count });
  expect(await rig.storedKeys()).toEqual([]);
});

test('a rejected queued upload fails with its original, and can be retried once the rule has changed', async () => {
  const rig = await makeRig(resources);
  await setRules(rig, rejecting);
  const bytes = await drawSquare();
  const { image, jobId = 0 } = await rig.upload(bytes, { mode: 'queued' });
  expect(await rig.runJob(await claimOne(database))).toMatchObject({ state: 'failed' });
  const failed = await rig.image(image.id);
  expect(failed).toMatchObject({
    status: 'failed',
    errorCode: 'picture_rejected',
    error: sentence,
    intakeFacts: null,
    renditions: [],
  });
  expect(await rig.storedKeys()).toEqual([failed?.originalKey]);
  expect(await rig.report(jobId)).toMatchObject({ failureClass: 'permanent', failureStage: 'inspect' });

  await rig.jobs.retry(unrestrictedPrincipal, jobId);
  expect(await rig.runJob(await claimOne(database))).toMatchObject({ state: 'failed' });
  await expect(rig.upload(bytes)).rejects.toMatchObject({ code: 'picture_rejected' });
  await setRules(rig, {});
  expect(await rig.upload(bytes)).toMatchObject({ outcome: 'retried', image: { id: image.id } });
  expect(await rig.image(image.id)).toMatchObject({ errorCode: null, intakeFacts: { fill: 0.49 } });
});

test('a rejected import fails, and an import of known content takes over its facts and warnings', async () => {
  const rig = await makeRig(resources);
  const origin = await startOrigin();
  await setRules(rig, rejecting);
  const importPicture = async (bytes: Buffer) => {
    const url = origin.put(`/square-${seed}.png`, bytes);
    const { image } = await rig.ingestUrls.one(unrestrictedPrincipal, { url, tenantName: 'shop' });
    await rig.runJob(await claimOne(database, 60, 'import'));
    return rig.image(image.id);
  };
  expect(await importPicture(await drawSquare())).toMatchObject({
    status: 'failed',
    errorCode: 'picture_rejected',
    renditions: [],
  });
  await setRules(rig, warning);
  seed++;
  const bytes = await drawSquare();
  const { image } = await rig.upload(bytes);
  expect(await importPicture(bytes)).toMatchObject({
    duplicateOf: image.id,
    intakeFacts: image.intakeFacts,
    warnings: [{ rule: 'max_fill', limit: 0.3, value: 0.49 }],
  });
});

test('an image that has renditions is not rejected when it is processed again', async () => {
  const rig = await makeRig(resources);
  const { image } = await rig.upload(await drawSquare());
  await setRules(rig, rejecting);
  await rig.jobs.requeue(image.id, 50);
  expect(await rig.runJob(await claimOne(database))).toMatchObject({ state: 'completed' });
  expect((await rig.image(image.id))?.warnings).toEqual([{ rule: 'max_fill', limit: 0.3, value: 0.49 }]);
  await setRules(rig, {});
  await rig.jobs.requeue(image.id, 50);
  await rig.runJob(await claimOne(database));
  expect((await rig.image(image.id))?.warnings).toEqual([]);
});
