import { beforeEach, expect, test } from 'vitest';
import { duplicateVerdicts, showTier } from '../../../src/model/duplicates.ts';
import { relationTiers } from '../../../src/model/relation.ts';
import type { NearDuplicate } from '../../../src/model/image.ts';
import { systemPrincipal } from '../../../src/model/principal.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { selectRow, selectRows, useDatabase } from '../../support/inner/database.ts';
import { findGroupErrors, listGroups } from '../../support/inner/duplicate-groups.ts';
import { makeDerivedFacts, makePair, sha256Hex } from '../../support/inner/records.ts';

const database = await useDatabase();
const shop = await makeCatalog(database, 1).tenants.ensure('shop');
const catalog = makeCatalog(database, shop.id);
let vaseId: number;
let lampId: number;

/** Completes an image that matches these images. */
const add = async (content: string, matches: readonly NearDuplicate[] = []) =>
  catalog.finishWith(await catalog.upload(content), content, matches);

const judge = async (a: number, b: number, verdict: (typeof duplicateVerdicts)[number]) =>
  catalog.verdicts.set(systemPrincipal, await catalog.pairOf(a, b), verdict);
const takeBack = async (a: number, b: number) =>
  catalog.verdicts.remove(systemPrincipal, await catalog.pairOf(a, b));
const listPairs = async (id: number) =>
  (await catalog.image(id))?.nearDuplicates.map(({ id: other, tier, verdict }) => [other, tier, verdict]);

beforeEach(async () => {
  vaseId = await add('vase');
  lampId = await add('lamp', [makePair(vaseId)]);
});

test('hides a pair that is judged different from both images and from the groups, and shows it again', async () => {
  expect(await listPairs(vaseId)).toEqual([[lampId, 'reencoded', null]]);
  await judge(vaseId, lampId, 'different');
  expect([await listPairs(vaseId), await listPairs(lampId)]).toEqual([[], []]);
  expect(await listGroups(database)).toEqual([]);
  await takeBack(lampId, vaseId);
  expect([await listPairs(vaseId), await listPairs(lampId)]).toEqual([
    [[lampId, 'reencoded', null]],
    [[vaseId, 'reencoded', null]],
  ]);
  expect(await listGroups(database)).toEqual([
    { kind: 'duplicate', tier: 'reencoded', images: [vaseId, lampId] },
  ]);
});

test.each([
  ['variant', 'variant', 'variant'],
  ['same', 'reencoded', 'duplicate'],
] as const)('shows a pair that is judged %s', async (verdict, tier, kind) => {
  await judge(vaseId, lampId, verdict);
  expect([await listPairs(vaseId), await listPairs(lampId)]).toEqual([
    [[lampId, tier, verdict]],
    [[vaseId, tier, verdict]],
  ]);
  expect(await listGroups(database)).toEqual([{ kind, tier, images: [vaseId, lampId] }]);
});

test('records a pair that only a person has named, until the verdict is taken back', async () => {
  const chairId = await add('chair');
  await judge(chairId, vaseId, 'same');
  expect(await listPairs(chairId)).toEqual([[vaseId, 'edited', 'same']]);
  expect(await listGroups(database)).toEqual([
    { kind: 'duplicate', tier: 'edited', images: [vaseId, lampId, chairId] },
  ]);
  await judge(vaseId, chairId, 'variant');
  expect(await listPairs(chairId)).toEqual([[vaseId, 'variant', 'variant']]);
  await judge(vaseId, chairId, 'different');
  expect(await listPairs(chairId)).toEqual([]);
  await judge(vaseId, chairId, 'same');
  await takeBack(vaseId, chairId);
  expect(await listPairs(chairId)).toEqual([]);
  expect(await selectRows(database, 'SELECT 1 FROM near_duplicates')).toHaveLength(1);
});

test('has one verdict for a pair, whichever image is named first, and records only changes in the audit log', async () => {
  const countEntries = () =>
    selectRow(database, "SELECT count(*)::int AS count FROM audit_log WHERE action LIKE 'verdict.%'");
  const before = await selectRow<{ count: number }>(
    database,
    "SELECT count(*)::int AS count FROM audit_log WHERE action LIKE 'verdict.%'",
  );
  const first = await judge(vaseId, lampId, 'different');
  expect(await judge(lampId, vaseId, 'different')).toEqual(first);
  expect(first).toMatchObject({ verdict: 'different', decidedBy: 'system' });
  expect(await judge(lampId, vaseId, 'variant')).toMatchObject({ verdict: 'variant' });
  expect(await selectRows(database, 'SELECT 1 FROM duplicate_verdicts')).toHaveLength(1);
  await takeBack(vaseId, lampId);
  await takeBack(vaseId, lampId);
  expect(await countEntries()).toEqual({ count: before.count + 3 });
  expect(
    await selectRow(
      database,
      "SELECT details->>'verdict' AS verdict FROM audit_log WHERE action = 'verdict.set' ORDER BY id DESC LIMIT 1",
    ),
  ).toEqual({ verdict: 'variant' });
});

test('keeps a verdict when an image is derived again, and when its file is uploaded again after a purge', async () => {
  await judge(vaseId, lampId, 'different');
  await catalog.jobs.requeue(lampId, 50);
  const [job] = await catalog.jobs.claimDue('derive', 1, 60);
  const facts = makeDerivedFacts('lamp', { nearDuplicates: [makePair(vaseId, { tier: 'identical' })] });
  const completed = await catalog.jobs.complete(job!, [], facts);
  expect(completed?.id).toBe(lampId);
  expect(await listPairs(lampId)).toEqual([]);
  await catalog.softDelete(lampId);
  await catalog.purge(lampId);
  const newId = await add('lamp', [makePair(vaseId)]);
  expect([await listPairs(newId), await listPairs(vaseId)]).toEqual([[], []]);
  await takeBack(newId, vaseId);
  expect(await listPairs(newId)).toEqual([[vaseId, 'reencoded', null]]);
});

test('shows a pair that only a person has named when a file is uploaded again, or an image is restored', async () => {
  const chairId = await add('chair');
  await judge(chairId, vaseId, 'same');
  await catalog.softDelete(chairId);
  const newId = await add('chair');
  expect(await listPairs(newId)).toEqual([[vaseId, 'edited', 'same']]);
  await catalog.softDelete(vaseId);
  await catalog.softDelete(newId);
  await catalog.purge(newId);
  await catalog.restore(chairId);
  expect(await listPairs(chairId)).toEqual([]);
  await catalog.restore(vaseId);
  expect(await listPairs(chairId)).toEqual([[vaseId, 'edited', 'same']]);
  expect(await findGroupErrors(database)).toEqual({});
});

test('removes a verdict when neither of its contents has an image any more', async () => {
  const countVerdicts = async () => (await selectRows(database, 'SELECT 1 FROM duplicate_verdicts')).length;
  await judge(vaseId, lampId, 'different');
  await catalog.softDelete(vaseId);
  await catalog.purge(vaseId);
  expect(await countVerdicts()).toBe(1);
  await catalog.softDelete(lampId);
  await catalog.purge(lampId);
  expect(await countVerdicts()).toBe(0);
});

test('changes nothing for a deleted image', async () => {
  const pair = await catalog.pairOf(vaseId, lampId);
  await catalog.softDelete(lampId);
  expect(await catalog.verdicts.set(systemPrincipal, pair, 'same')).toBeUndefined();
  expect(await catalog.verdicts.remove(systemPrincipal, pair)).toBe(false);
  expect(await selectRows(database, 'SELECT 1 FROM duplicate_verdicts')).toEqual([]);
});

test('lists the verdicts on a content and others', async () => {
  await judge(vaseId, lampId, 'variant');
  const hashes = ['lamp', 'chair'].map((content) => sha256Hex(content));
  expect(await catalog.verdicts.listAmong(shop.id, sha256Hex('vase'), hashes)).toEqual(
    new Map([[sha256Hex('lamp'), 'variant']]),
  );
  expect(await catalog.verdicts.listAmong(shop.id + 1, sha256Hex('vase'), hashes)).toEqual(new Map());
});

test('the database and the program agree on the tier under which a pair is shown', async () => {
  for (const verdict of [null, ...duplicateVerdicts])
    for (const tier of relationTiers) {
      const value = verdict === null ? 'NULL' : `'${verdict}'`;
      await database.runScript(`UPDATE near_duplicates SET tier = '${tier}', verdict = ${value}`);
      expect(await selectRow(database, 'SELECT shown_tier AS tier FROM near_duplicates')).toEqual({
        tier: showTier(tier, verdict) ?? null,
      });
    }
});
