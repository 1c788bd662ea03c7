import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeQueries } from '../../../src/db/queries.ts';
import { makePreset, type RenditionFormat } from '../../../src/model/preset.ts';
import { makeClaimForJob } from '../../../src/services/delivery/claim-for-job.ts';
import { toCurrentVariant } from '../../../src/services/delivery/variants.ts';
import { selectRows, useDatabase } from '../../support/inner/database.ts';
import { recordPending } from '../../support/inner/jobs.ts';
import { makeRecordingLogger } from '../../support/inner/logger.ts';

const database = await useDatabase();
const { tenants, variantClaims: claims } = makeQueries(database);
const claimForJob = makeClaimForJob({ claims, logger: makeRecordingLogger() });

const card = makePreset({ name: 'card', width: 40, height: 40 });
const makeVariant = (format: RenditionFormat) =>
  toCurrentVariant({ preset: card, format, density: 1 }, { focalPoint: null });
const [jpeg, webp] = [makeVariant('jpeg'), makeVariant('webp')];

async function recordImage(): Promise<number> {
  const { id } = await tenants.ensure('shop');
  return (await recordPending(database, id, 'claimed')).imageId;
}

const countClaims = async () => (await selectRows(database, 'SELECT 1 FROM variant_claims')).length;

test('claims variants until they are released, but none that a request is making', async () => {
  const imageId = await recordImage();
  const token = randomUUID();
  const claimable = { imageId, ...jpeg.name, recipe: jpeg.recipe };
  expect(await claims.claim(claimable, token, 60)).toEqual({ outcome: 'claimed' });

  const first = await claimForJob(imageId, [jpeg, webp]);
  expect(first.variants).toEqual([webp]);
  const second = await claimForJob(imageId, [jpeg, webp]);
  expect(second.variants).toEqual([]);
  await second.release();
  expect(await countClaims()).toBe(2);
  await first.release();
  await claims.release(claimable, token);
  const third = await claimForJob(imageId, [jpeg, webp]);
  expect(third.variants).toEqual([jpeg, webp]);
  await third.release();
  expect(await countClaims()).toBe(0);
});

test('fails like the request that has failed a short while ago, and keeps no claim', async () => {
  const imageId = await recordImage();
  const token = randomUUID();
  const claimable = { imageId, ...webp.name, recipe: webp.recipe };
  await claims.claim(claimable, token, 60);
  await claims.fail(claimable, token, { code: 'decoder_crashed', error: 'It crashed the decoder.' });
  await expect(claimForJob(imageId, [jpeg, webp])).rejects.toMatchObject({
    code: 'decoder_crashed',
    message: 'It crashed the decoder.',
  });
  expect(await countClaims()).toBe(1);
});
