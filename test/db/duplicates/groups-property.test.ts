import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { duplicateVerdicts } from '../../../src/model/duplicates.ts';
import { relationTiers } from '../../../src/model/relation.ts';
import { systemPrincipal, unrestrictedPrincipal } from '../../../src/model/principal.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { emptyTables, selectRows, useDatabase } from '../../support/inner/database.ts';
import { findGroupErrors } from '../../support/inner/duplicate-groups.ts';
import { makePair, sha256Hex } from '../../support/inner/records.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';
import { isThorough } from '../../support/thoroughness.ts';

const database = await useDatabase();
const shop = await makeCatalog(database, 1).tenants.ensure('shop');
const catalog = makeCatalog(database, shop.id);
const contents = ['vase', 'lamp', 'chair', 'shirt', 'shoe', 'mug'];

interface Choice {
  readonly operation: keyof typeof operations;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** Returns the images that are not deleted, or those that are. */
const listImages = (isDeleted = false) =>
  selectRows<{ id: number; uuid: string; contentHash: string }>(
    database,
    `SELECT id, uuid, content_hash AS "contentHash" FROM images
     WHERE deleted_at IS ${isDeleted ? 'NOT NULL' : 'NULL'} AND status = 'completed' ORDER BY id`,
  );

async function pickPair({ a, b }: Choice) {
  const images = await listImages();
  const [image, other] = [images[a % images.length], images[b % images.length]];
  if (!image || !other || image.contentHash === other.contentHash) return undefined;
  return [
    { ...image, tenantId: shop.id },
    { ...other, tenantId: shop.id },
  ] as const;
}

/** Completes an image of a random content that matches some random images. */
async function upload({ a, b, c }: Choice): Promise<void> {
  const images = await listImages();
  const content = contents[a % contents.length] ?? '';
  const job = await catalog.upload(content).catch(() => undefined);
  if (!job) return;
  const matches = images.filter(
    ({ contentHash }, n) => (b >> n) % 2 === 1 && contentHash !== sha256Hex(content),
  );
  const nearDuplicates = matches.map(({ id }, n) => makePair(id, { tier: relationTiers[(c + n) % 5]! }));
  await catalog.finishWith(job, content, nearDuplicates);
}

const operations = {
  upload,
  addPair: async (choice: Choice) => {
    const [image, other] = (await pickPair(choice)) ?? [];
    const tier = relationTiers[choice.c % relationTiers.length]!;
    if (image && other)
      await catalog.fingerprints.addNearDuplicates(image.id, [makePair(other.id, { tier })]);
  },
  judge: async (choice: Choice) => {
    const pair = await pickPair(choice);
    const verdict = duplicateVerdicts[choice.c % duplicateVerdicts.length]!;
    if (pair) await catalog.verdicts.set(systemPrincipal, pair, verdict);
  },
  takeBack: async ({ a }: Choice) => {
    const judged = await selectRows<{ a: number; b: number }>(
      database,
      `SELECT (SELECT max(id) FROM images WHERE content_hash = v.content_hash AND deleted_at IS NULL) AS a,
        (SELECT max(id) FROM images WHERE content_hash = v.other_hash AND deleted_at IS NULL) AS b
       FROM duplicate_verdicts v ORDER BY content_hash, other_hash`,
    );
    const pair = judged[a % judged.length];
    if (pair?.a && pair.b)
      await catalog.verdicts.remove(systemPrincipal, await catalog.pairOf(pair.a, pair.b));
  },
  softDelete: async ({ a }: Choice) => {
    const images = await listImages();
    await catalog.softDelete(images[a % images.length]?.id ?? 0, true);
  },
  restore: async ({ a }: Choice) => {
    const images = await listImages(true);
    await catalog.restore(images[a % images.length]?.id ?? 0);
  },
  purge: async ({ a, c }: Choice) => {
    const images = await listImages(c % 2 === 0);
    await catalog.purge(images[a % images.length]?.id ?? 0);
  },
  addReference: async ({ a, c }: Choice) => {
    const images = await listImages();
    await catalog.references.add(systemPrincipal, images[a % images.length]?.id ?? 0, `page ${c % 3}`);
  },
  resolve: async ({ a, b }: Choice) => {
    const { groups } = await catalog.duplicateGroups.list(unrestrictedPrincipal, {}, { limit: 10 });
    const group = groups[a % groups.length];
    if (!group) return;
    const [kept, ...discarded] = group.members
      .map(({ image }) => ({ id: image }))
      .toSorted(() => (b % 2) - 0.5);
    const result = await catalog.resolutions.resolve(unrestrictedPrincipal, group.id, {
      keep: kept!,
      discard: discarded,
    });
    expect(result.outcome).toBe('resolved');
  },
};

const choices = fc.array(
  fc.record({
    operation: fc.constantFrom(
      ...([
        'upload',
        'upload',
        'upload',
        'addPair',
        'addPair',
        'judge',
        'judge',
        'takeBack',
        ...Object.keys(operations),
      ] as const),
    ) as fc.Arbitrary<keyof typeof operations>,
    a: fc.nat(99),
    b: fc.nat(255),
    c: fc.nat(99),
  }),
  { minLength: 15, maxLength: 40 },
);

test('groups are sound after any sequence of changes', async () => {
  const sequence = fc.asyncProperty(choices, async (steps) => {
    await emptyTables(database);
    for (const step of steps) {
      await operations[step.operation](step);
      expect(await findGroupErrors(database), step.operation).toEqual({});
    }
    expect(await usageFromCounters(database)).toEqual(await usageFromRows(database));
  });
  await fc.assert(sequence, { numRuns: isThorough ? 200 : 5 });
});
