import { expect, test } from 'vitest';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import type { NewRendition } from '../../../src/model/rendition.ts';
import { renditionKey } from '../../../src/storage/keys.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { selectRows, useDatabase } from '../../support/inner/database.ts';
import { makeRendition, sha256Hex } from '../../support/inner/records.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';

const database = await useDatabase();
const { id: tenantId } = await makeTenantQueries(database).ensure('shop');
const catalog = makeCatalog(database, tenantId);

function makeVariant(overrides: Partial<NewRendition> = {}): NewRendition {
  const variant = { ...makeRendition(tenantId, 'vase', 'card', 300), ...overrides };
  const { preset, recipe, format, density } = variant;
  return {
    ...variant,
    storageKey: renditionKey(tenantId, sha256Hex('vase'), preset, recipe, format, density),
  };
}

const record = async (imageId: number, ...renditions: readonly NewRendition[]) => {
  const recorded = await catalog.variants.record({
    imageId,
    renditions,
    focalPoint: null,
    hasFiles: () => Promise.resolve(true),
  });
  expect(recorded).toHaveLength(renditions.length);
  expect(await usageFromCounters(database)).toEqual(await usageFromRows(database));
};

const listCards = () =>
  selectRows(
    database,
    `SELECT format, recipe, is_listed AS listed, superseded_at IS NULL AS current FROM renditions
     WHERE preset = 'card' ORDER BY format, recipe`,
  );

const newRecipe = 'ffffffffff';
const former = { format: 'jpeg', recipe: '0123456789', listed: true, current: true };

test('supersedes a rendition with another recipe, and makes it current again if it is recorded again', async () => {
  const imageId = await catalog.add('vase');
  await record(imageId, makeVariant({ recipe: newRecipe }));
  expect(await listCards()).toEqual([
    { ...former, current: false },
    { ...former, recipe: newRecipe },
  ]);
  expect((await catalog.image(imageId))?.renditions).toMatchObject([
    { preset: 'card', recipe: newRecipe },
    { preset: 'thumb' },
  ]);
  const card = { preset: 'card', format: 'jpeg', density: 1 } as const;
  expect(await catalog.variants.findByRecipe(imageId, card, '0123456789')).toMatchObject({
    recipe: '0123456789',
  });
  await record(imageId, makeVariant());
  expect(await listCards()).toEqual([former, { ...former, recipe: newRecipe, current: false }]);
});

test('keeps other formats and densities of a preset, and lists the new first format instead of the former one', async () => {
  const imageId = await catalog.add('vase');
  const webp = makeVariant({ format: 'webp', isListed: false, isOnRequest: true });
  await record(imageId, webp, { ...makeVariant({ density: 2 }), isListed: false });
  expect(await listCards()).toHaveLength(3);
  await record(imageId, { ...webp, isListed: true }, makeVariant({ isListed: false }));
  expect(await listCards()).toEqual([
    { ...former, listed: false },
    { ...former, listed: false },
    { ...former, format: 'webp' },
  ]);
  await record(imageId, makeVariant({ recipe: newRecipe }));
  const listed = (await catalog.image(imageId))?.renditions.filter(({ isListed }) => isListed);
  expect(listed?.map(({ preset, format }) => `${preset}.${format}`).toSorted()).toEqual([
    'card.jpeg',
    'thumb.jpeg',
  ]);
});

test('counts a superseded rendition as a variant until it is removed', async () => {
  const imageId = await catalog.add('vase');
  await record(imageId, makeVariant({ recipe: newRecipe, bytes: 77 }));
  const [usage] = await usageFromCounters(database);
  expect(usage).toMatchObject({ renditions: 2, bytesByPreset: { card: 304 + 77, thumb: 14 } });
  const [superseded] = await catalog.renditionRemoval.list({ supersededDays: 0 }, 10);
  expect(await catalog.renditionRemoval.remove(superseded!, 'on-request')).toBeUndefined();
  expect(await catalog.renditionRemoval.remove(superseded!, { supersededDays: 0 })).toBe('removed');
  expect(await usageFromCounters(database)).toMatchObject([{ renditions: 2, renditionBytes: 77 + 14 }]);
  expect(await catalog.recounting.correctUsage(tenantId)).toEqual([]);
});

test('an image with a pending job for a variant can be purged, but not while the job is running', async () => {
  const imageId = await catalog.add('vase');
  const variants = [{ preset: 'card', format: 'avif', density: 1 }] as const;
  await catalog.jobs.enqueueRender({ imageId, variants, priority: 200 });
  const [job] = await catalog.jobs.claimDue('render', 1, 60);
  await catalog.softDelete(imageId);
  expect(await catalog.purge(imageId)).toBeUndefined();
  await catalog.jobs.handBack([job!]);
  expect(await catalog.purge(imageId)).toMatchObject({ renditions: 2 });
  expect(await selectRows(database, "SELECT 1 FROM jobs WHERE kind = 'render'")).toEqual([]);
});

test('does not add a job for variants twice, nor soon after it has failed', async () => {
  const imageId = await catalog.add('vase');
  const variants = [{ preset: 'card', format: 'avif', density: 1 }] as const;
  const enqueue = () => catalog.jobs.enqueueRender({ imageId, variants, priority: 200 });
  expect(await enqueue()).toMatchObject({ kind: 'render' });
  expect(await enqueue()).toBeUndefined();
  expect(
    await catalog.jobs.enqueueRender({ imageId, variants: [{ ...variants[0], density: 2 }], priority: 200 }),
  ).toMatchObject({ kind: 'render' });
  for (const job of await catalog.jobs.claimDue('render', 2, 60)) await catalog.fail(job);
  expect(await enqueue()).toBeUndefined();
  expect(await catalog.image(imageId)).toMatchObject({ status: 'completed' });
  await database.runScript("UPDATE jobs SET finished_at = now() - interval '2 hours' WHERE kind = 'render'");
  expect(await enqueue()).toMatchObject({ kind: 'render' });
  expect(await catalog.jobs.enqueueRender({ imageId: 424_242, variants, priority: 200 })).toBeUndefined();
});
