import { beforeEach, expect, test } from 'vitest';
import type { ImageRef } from '../../../src/model/image.ts';
import { systemPrincipal, unrestrictedPrincipal } from '../../../src/model/principal.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { selectRow, selectRows, useDatabase } from '../../support/inner/database.ts';
import { findGroupErrors, listGroups } from '../../support/inner/duplicate-groups.ts';
import { makePair } from '../../support/inner/records.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';

const database = await useDatabase();
const shop = await makeCatalog(database, 1).tenants.ensure('shop');
const catalog = makeCatalog(database, shop.id);
/** The representative of the group, and the two images that match it. */
let ids: readonly [number, number, number];
let groupId: number;

beforeEach(async () => {
  const first = await catalog.add('first');
  const others = [];
  for (const content of ['second', 'third'])
    others.push(await catalog.finishWith(await catalog.upload(content), content, [makePair(first)]));
  ids = [first, others[0]!, others[1]!];
  for (const [id, reference] of [
    [ids[0], 'shared'],
    [ids[1], 'shared'],
    [ids[1], 'second'],
    [ids[2], 'third'],
  ] as const)
    await catalog.references.add(systemPrincipal, id, reference);
  groupId = (await selectRow<{ id: number }>(database, 'SELECT id FROM duplicate_groups')).id;
});

const resolve = (keep: number, discard: readonly number[], tenantId: number | null = null, id = groupId) =>
  catalog.resolutions.resolve({ ...unrestrictedPrincipal, tenantId }, id, {
    keep: { id: keep },
    discard: discard.map((discarded) => ({ id: discarded })),
  });
const listReferences = async (id: number) =>
  (await catalog.references.list(id, 0, { limit: 10, offset: 0 })).items
    .map(({ reference }) => reference)
    .toSorted();

async function expectConsistency(): Promise<void> {
  expect(await findGroupErrors(database)).toEqual({});
  expect(await usageFromCounters(database)).toEqual(await usageFromRows(database));
}

test('moves the references to the kept image, and deletes the others', async () => {
  const [first, second, third] = ids;
  expect(await resolve(second, [first, third])).toMatchObject({
    outcome: 'resolved',
    kept: { id: second, inUseCount: 3 },
    discarded: [
      { id: first, movedReferences: 0, wasDiscarded: false },
      { id: third, movedReferences: 1, wasDiscarded: false },
    ],
  });
  expect(await listReferences(second)).toEqual(['second', 'shared', 'third']);
  expect(await Promise.all(ids.map(async (id) => (await catalog.image(id))?.inUseCount))).toEqual([
    undefined,
    3,
    undefined,
  ]);
  expect(await listGroups(database)).toEqual([]);
  await expectConsistency();
});

test('changes nothing when the request is repeated, even if a moved reference was removed meanwhile', async () => {
  const [first, second, third] = ids;
  await resolve(second, [first, third]);
  await catalog.references.remove(systemPrincipal, second, 'third');
  const countEntries = () => selectRow(database, 'SELECT count(*) AS count FROM audit_log');
  const entries = await countEntries();
  expect(await resolve(second, [third, first])).toMatchObject({
    outcome: 'resolved',
    kept: { id: second, inUseCount: 2 },
    discarded: [
      { id: third, movedReferences: 1, wasDiscarded: true },
      { id: first, movedReferences: 0, wasDiscarded: true },
    ],
  });
  expect(await listReferences(second)).toEqual(['second', 'shared']);
  expect(await countEntries()).toEqual(entries);
});

test('resolves a group in several requests', async () => {
  const [first, second, third] = ids;
  await resolve(first, [second]);
  expect(await resolve(first, [second, third])).toMatchObject({
    discarded: [{ wasDiscarded: true }, { wasDiscarded: false }],
  });
  expect(await listReferences(first)).toEqual(['second', 'shared', 'third']);
  await expectConsistency();
});

test('a restored image has its references again, returns to the group, and can be discarded again', async () => {
  const [first, second, third] = ids;
  await resolve(first, [second, third]);
  await catalog.restore(second);
  expect(await catalog.image(second)).toMatchObject({ inUseCount: 2 });
  expect(await listReferences(second)).toEqual(['second', 'shared']);
  // The kept image keeps what it received: a client may rely on it by now.
  expect(await listReferences(first)).toEqual(['second', 'shared', 'third']);
  expect(await listGroups(database)).toMatchObject([{ images: [first, second] }]);
  expect(await resolve(first, [second])).toEqual({ outcome: 'group-not-found' });
  const newGroup = await selectRow<{ id: number }>(database, 'SELECT id FROM duplicate_groups');
  expect(await resolve(first, [second], null, newGroup.id)).toMatchObject({
    discarded: [{ id: second, movedReferences: 0, wasDiscarded: false }],
  });
  await expectConsistency();
});

test('a purge of a discarded image leaves the moved references with the kept image', async () => {
  const [first, second, third] = ids;
  await resolve(first, [second, third]);
  await catalog.purge(second);
  expect(await listReferences(first)).toEqual(['second', 'shared', 'third']);
  expect(await catalog.purge(first)).toBeUndefined();
  await expectConsistency();
});

test('records who resolved which group, and each moved reference and deleted image', async () => {
  const [first, second] = ids;
  const { id: lastEntry } = await selectRow<{ id: number }>(database, 'SELECT max(id) AS id FROM audit_log');
  await resolve(first, [second]);
  const [kept, discarded] = await selectRows<{ uuid: string }>(
    database,
    `SELECT uuid FROM images WHERE id IN (${first}, ${second}) ORDER BY id`,
  );
  expect(
    await selectRows(
      database,
      `SELECT action, target, details FROM audit_log WHERE id > ${lastEntry} ORDER BY id`,
    ),
  ).toEqual([
    {
      action: 'reference.add',
      target: kept?.uuid,
      details: { reference: 'second', from: discarded?.uuid },
    },
    { action: 'image.delete', target: discarded?.uuid, details: { kept: kept?.uuid } },
    {
      action: 'group.resolve',
      target: kept?.uuid,
      details: { group: groupId, discarded: [discarded?.uuid] },
    },
  ]);
});

test('refuses a request as a whole if one of its images is not in the group', async () => {
  const [first, second, third] = ids;
  const outsider = await catalog.add('outsider');
  await catalog.softDelete(third, true);
  const uuid = '01a1fb5b-5201-72ab-9fbd-00000000dead';
  const resolveRefs = (keep: ImageRef, discard: ImageRef[]) =>
    catalog.resolutions.resolve(unrestrictedPrincipal, groupId, { keep, discard });
  for (const wrong of [{ id: outsider }, { id: third }, { id: 424_242 }, { uuid }]) {
    const refusal = { outcome: 'not-in-group', image: wrong };
    expect(await resolveRefs({ id: first }, [{ id: second }, wrong])).toEqual(refusal);
    expect(await resolveRefs(wrong, [{ id: second }])).toEqual(refusal);
  }
  expect(await resolve(first, [second, first])).toEqual({
    outcome: 'kept-and-discarded',
    image: { id: first },
  });
  expect(await resolve(first, [second], shop.id + 1)).toEqual({ outcome: 'group-not-found' });
  expect(await resolve(first, [second], null, groupId + 1)).toEqual({ outcome: 'group-not-found' });
  expect(await listReferences(first)).toEqual(['shared']);
  expect(await catalog.image(second)).toMatchObject({ inUseCount: 2 });
});

test('does not keep a damaged image', async () => {
  const [first, second] = ids;
  await catalog.images.markDamaged(first);
  expect(await resolve(first, [second])).toMatchObject({ outcome: 'not-intact', image: { id: first } });
  expect(await resolve(second, [first])).toMatchObject({ outcome: 'resolved' });
});

test('counts an image that is named twice once', async () => {
  const [first, second] = ids;
  expect(await resolve(first, [second, second])).toMatchObject({ discarded: [{ id: second }] });
});
