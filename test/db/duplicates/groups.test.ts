import { expect, test } from 'vitest';
import type { RelationTier } from '../../../src/model/relation.ts';
import type { NearDuplicate } from '../../../src/model/image.ts';
import { unrestrictedPrincipal } from '../../../src/model/principal.ts';
import { maxListedMembers } from '../../../src/db/duplicates/groups.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { useDatabase } from '../../support/inner/database.ts';
import { listGroups } from '../../support/inner/duplicate-groups.ts';
import { makePair } from '../../support/inner/records.ts';

const database = await useDatabase();
const shop = await makeCatalog(database, 1).tenants.ensure('shop');
const other = await makeCatalog(database, 1).tenants.ensure('other');
const catalog = makeCatalog(database, shop.id);
const otherCatalog = makeCatalog(database, other.id);

/** Completes an image that matches these images. */
const add = async (content: string, matches: readonly NearDuplicate[] = [], owner = catalog) =>
  owner.finishWith(await owner.upload(content), content, matches);

/** Adds two images that form a group of this tier. */
async function addGroup(name: string, tier: RelationTier, owner = catalog): Promise<readonly number[]> {
  const id = await add(`${name} 1`, [], owner);
  return [id, await add(`${name} 2`, [makePair(id, { tier })], owner)];
}

const listPage = async (
  filter: { tenant?: string; tier?: RelationTier } = {},
  { limit = 10, after }: { limit?: number; after?: number } = {},
  tenantId: number | null = null,
) => catalog.duplicateGroups.list({ ...unrestrictedPrincipal, tenantId }, filter, { limit, after });
const listMembers = async (...args: Parameters<typeof listPage>) =>
  (await listPage(...args)).groups.map(({ members }) => members.map(({ image }) => image));

test('a group consists of the images that match one of them, not of a chain', async () => {
  const a = await add('a');
  const b = await add('b', [makePair(a)]);
  const c = await add('c', [makePair(b)]);
  expect(await listGroups(database)).toMatchObject([{ images: [a, b] }]);
  // Image d matches an image without a group and a member of a group, but not the representative.
  const d = await add('d', [makePair(c), makePair(b)]);
  expect(await listGroups(database)).toMatchObject([{ images: [a, b] }, { images: [c, d] }]);
});

test('a new image represents the images that match it but not each other', async () => {
  const [a, b] = [await add('a'), await add('b')];
  const c = await add('c', [makePair(a), makePair(b)]);
  expect(await listGroups(database)).toMatchObject([{ images: [c, a, b] }]);
});

test('a new image joins the group of the representative that it matches best', async () => {
  const [a] = await addGroup('a', 'identical');
  const [b] = await addGroup('b', 'identical');
  const c = await add('c', [makePair(a!, { tier: 'edited', distance: 0 }), makePair(b!, { distance: 9 })]);
  expect(await listGroups(database)).toMatchObject([
    { tier: 'identical', images: [a, expect.anything()] },
    { tier: 'reencoded', images: [b, expect.anything(), c] },
  ]);
});

test('the others form new groups when the representative is deleted, and it joins them when it is restored', async () => {
  const a = await add('a');
  const b = await add('b', [makePair(a)]);
  const c = await add('c', [makePair(a), makePair(b)]);
  const d = await add('d', [makePair(a)]);
  expect(await listGroups(database)).toMatchObject([{ images: [a, b, c, d] }]);
  await catalog.softDelete(a);
  expect(await listGroups(database)).toMatchObject([{ images: [b, c] }]);
  await catalog.restore(a);
  expect(await listGroups(database)).toMatchObject([{ images: [b, a, c] }]);
  await catalog.softDelete(a);
  await catalog.purge(a);
  await catalog.softDelete(c);
  expect(await listGroups(database)).toEqual([]);
});

test('possible duplicates and variants form groups of their own', async () => {
  const a = await add('a');
  const b = await add('b', [makePair(a)]);
  const c = await add('c', [makePair(a, { tier: 'possible' }), makePair(b, { tier: 'variant' })]);
  expect(await listGroups(database)).toEqual([
    { kind: 'duplicate', tier: 'reencoded', images: [a, b] },
    { kind: 'possible', tier: 'possible', images: [a, c] },
    { kind: 'variant', tier: 'variant', images: [b, c] },
  ]);
  expect(await listMembers()).toEqual([[a, b]]);
  expect(await listMembers({ tier: 'possible' })).toEqual([[a, c]]);
  expect(await listMembers({ tier: 'variant' })).toEqual([[b, c]]);
});

test('lists each group once, newest first, by tenant and by tier', async () => {
  const groups = [];
  for (const tier of ['identical', 'reencoded', 'edited', 'identical'] as const)
    groups.push(await addGroup(`${groups.length}`, tier));
  const foreign = await addGroup('foreign', 'identical', otherCatalog);
  expect(await listMembers()).toEqual([...groups, foreign].toReversed());
  expect(await listMembers({ tenant: 'shop' })).toEqual(groups.toReversed());
  expect(await listMembers({ tenant: 'unknown' })).toEqual([]);
  expect(await listMembers({}, {}, other.id)).toEqual([foreign]);
  expect(await listMembers({ tenant: 'shop' }, {}, other.id)).toEqual([]);
  expect(await listMembers({ tenant: 'shop', tier: 'identical' })).toEqual([groups[3], groups[0]]);
  const pages = [];
  for (let after: number | undefined, isLast = false; !isLast; ) {
    const page = await listPage({}, { limit: 2, ...(after !== undefined && { after }) });
    pages.push(page.groups.map(({ members }) => members[0]?.image));
    after = page.next;
    isLast = after === undefined;
  }
  expect(pages).toEqual([[foreign[0], groups[3]?.[0]], [groups[2]?.[0], groups[1]?.[0]], [groups[0]?.[0]]]);
});

test('lists a limited number of the images of a large group, and the number of all', async () => {
  const first = await add('first');
  for (let n = 0; n < maxListedMembers + 2; n++) await add(`copy ${n}`, [makePair(first)]);
  const { groups } = await listPage();
  expect(groups).toMatchObject([{ size: maxListedMembers + 3, tier: 'reencoded' }]);
  expect(groups[0]?.members).toHaveLength(maxListedMembers);
  expect(groups[0]?.members.slice(0, 2)).toMatchObject([
    { image: first, match: null },
    { match: { tier: 'reencoded', distance: 1, difference: 1, reason: 'alike', verdict: null } },
  ]);
});
