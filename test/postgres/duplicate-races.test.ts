import { beforeEach, expect, test } from 'vitest';
import { systemPrincipal, unrestrictedPrincipal } from '../../src/model/principal.ts';
import { makeCatalog } from '../support/inner/catalog.ts';
import { selectRow, selectRows, useDatabase } from '../support/inner/database.ts';
import { findGroupErrors, listGroups } from '../support/inner/duplicate-groups.ts';
import { closeGate } from '../support/inner/gate.ts';
import { makePair } from '../support/inner/records.ts';
import { usageFromCounters, usageFromRows } from '../support/inner/recount.ts';

/** Tests races between changes of groups: resolutions, verdicts, new pairs, deletions and references. */

const database = await useDatabase();
const shop = await makeCatalog(database, 1).tenants.ensure('shop');
const catalog = makeCatalog(database, shop.id);
// PostgreSQL checks for deadlocks only after this timeout. A short timeout makes the tests fast.
await database.runScript(`
  DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''20ms''', current_database()); END $$`);

/** Two images that form a group. The second one has a reference. */
let keptId: number;
let discardedId: number;
let groupId: number;

beforeEach(async () => {
  keptId = await catalog.add('kept');
  const job = await catalog.upload('discarded');
  discardedId = await catalog.finishWith(job, 'discarded', [makePair(keptId)]);
  await catalog.references.add(systemPrincipal, discardedId, 'page');
  groupId = (await selectRow<{ id: number }>(database, 'SELECT id FROM duplicate_groups')).id;
});

const resolve = (keep: number, discard: number) =>
  catalog.resolutions.resolve(unrestrictedPrincipal, groupId, {
    keep: { id: keep },
    discard: [{ id: discard }],
  });

/** Blocks the transaction that deletes the image, after it has taken all its locks. */
const gateAtDeletion = (id: number) =>
  closeGate(
    database,
    'AFTER UPDATE ON images',
    `NEW.id = ${id} AND OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL`,
  );

async function expectConsistency(): Promise<void> {
  expect(await findGroupErrors(database)).toEqual({});
  expect(await usageFromCounters(database)).toEqual(await usageFromRows(database));
}

test('carries out a request once when it is sent twice at the same time', async () => {
  const gate = await gateAtDeletion(discardedId);
  const first = resolve(keptId, discardedId);
  await gate.untilBlocked(1);
  const second = resolve(keptId, discardedId);
  await gate.untilBlocked(2, second);
  await gate.open();
  expect([await first, await second]).toMatchObject([
    {
      outcome: 'resolved',
      kept: { inUseCount: 1 },
      discarded: [{ movedReferences: 1, wasDiscarded: false }],
    },
    { outcome: 'resolved', kept: { inUseCount: 1 }, discarded: [{ movedReferences: 1, wasDiscarded: true }] },
  ]);
  await expectConsistency();
});

test('keeps one image when two requests want to keep different ones', async () => {
  const gate = await gateAtDeletion(discardedId);
  const first = resolve(keptId, discardedId);
  await gate.untilBlocked(1);
  const second = resolve(discardedId, keptId);
  await gate.untilBlocked(2, second);
  await gate.open();
  expect((await first).outcome).toBe('resolved');
  expect(await second).toMatchObject({ outcome: expect.stringMatching(/not-in-group|group-not-found/) });
  expect(await catalog.image(keptId)).toMatchObject({ inUseCount: 1 });
  await expectConsistency();
});

test('refuses to discard an image that is deleted at the same time', async () => {
  const gate = await gateAtDeletion(discardedId);
  const deletion = catalog.softDelete(discardedId, true);
  await gate.untilBlocked(1);
  const resolution = resolve(keptId, discardedId);
  await gate.untilBlocked(2, resolution);
  await gate.open();
  await deletion;
  expect((await resolution).outcome).toBe('group-not-found');
  expect(await catalog.image(keptId)).toMatchObject({ inUseCount: 0 });
  await expectConsistency();
});

test('does not keep an image that is deleted at the same time', async () => {
  const gate = await gateAtDeletion(keptId);
  const deletion = catalog.softDelete(keptId);
  await gate.untilBlocked(1);
  const resolution = resolve(keptId, discardedId);
  await gate.untilBlocked(2, resolution);
  await gate.open();
  await deletion;
  expect((await resolution).outcome).toBe('group-not-found');
  expect(await catalog.image(discardedId)).toMatchObject({ inUseCount: 1 });
  await expectConsistency();
});

test('does not delete the kept image without force while it receives references', async () => {
  const gate = await gateAtDeletion(discardedId);
  const resolution = resolve(keptId, discardedId);
  await gate.untilBlocked(1);
  const deletion = catalog.softDelete(keptId);
  await gate.untilBlocked(2, deletion);
  await gate.open();
  expect((await resolution).outcome).toBe('resolved');
  expect(await deletion).toMatchObject({ outcome: 'in-use', references: ['page'] });
  await expectConsistency();
});

test('moves a reference that is added at the same time, or rejects it', async () => {
  const gate = await closeGate(database, 'AFTER INSERT ON image_references', `NEW.reference = 'new'`);
  const addition = catalog.references.add(systemPrincipal, discardedId, 'new');
  await gate.untilBlocked(1);
  const resolution = resolve(keptId, discardedId);
  await gate.untilBlocked(2, resolution);
  await gate.open();
  expect(await addition).toMatchObject({ changed: true });
  expect(await resolution).toMatchObject({ kept: { inUseCount: 2 }, discarded: [{ movedReferences: 2 }] });
  await catalog.restore(discardedId);
  const [newGroup] = await selectRows<{ id: number }>(database, 'SELECT id FROM duplicate_groups');
  groupId = newGroup!.id;
  const deletionGate = await gateAtDeletion(discardedId);
  const nextResolution = resolve(keptId, discardedId);
  await deletionGate.untilBlocked(1);
  const lateAddition = catalog.references.add(systemPrincipal, discardedId, 'late');
  await deletionGate.untilBlocked(2, lateAddition);
  await deletionGate.open();
  expect((await nextResolution).outcome).toBe('resolved');
  expect(await lateAddition).toBeUndefined();
  await expectConsistency();
});

test('applies a verdict to a pair that is recorded at the same time', async () => {
  const lampId = await catalog.add('lamp');
  const job = await catalog.upload('chair');
  const pair = await catalog.pairOf(job.imageId, lampId);
  const gate = await closeGate(database, 'AFTER INSERT ON near_duplicates', `NEW.match_id = ${lampId}`);
  const completion = catalog.finishWith(job, 'chair', [makePair(lampId)]);
  await gate.untilBlocked(1);
  const judging = catalog.verdicts.set(systemPrincipal, pair, 'different');
  await gate.untilBlocked(2, judging);
  await gate.open();
  await Promise.all([completion, judging]);
  expect((await catalog.image(lampId))?.nearDuplicates).toEqual([]);
  expect(await listGroups(database)).toMatchObject([{ images: [keptId, discardedId] }]);
  await expectConsistency();
});

test('applies a verdict to a pair that is recorded while the verdict is', async () => {
  const lampId = await catalog.add('lamp');
  const job = await catalog.upload('chair');
  const pair = await catalog.pairOf(job.imageId, lampId);
  const gate = await closeGate(database, 'AFTER INSERT ON duplicate_verdicts', 'true');
  const judging = catalog.verdicts.set(systemPrincipal, pair, 'different');
  await gate.untilBlocked(1);
  const completion = catalog.finishWith(job, 'chair', [makePair(lampId)]);
  await gate.untilBlocked(2, completion);
  await gate.open();
  await Promise.all([completion, judging]);
  expect((await catalog.image(lampId))?.nearDuplicates).toEqual([]);
  await expectConsistency();
});

test('puts two images that match the same image at the same time into one group', async () => {
  const lampId = await catalog.add('lamp');
  const jobs = [await catalog.upload('lamp 2'), await catalog.upload('lamp 3')];
  const gate = await closeGate(
    database,
    'AFTER INSERT ON duplicate_groups',
    `NEW.representative_id = ${lampId}`,
  );
  const completions = [catalog.finishWith(jobs[0]!, 'lamp 2', [makePair(lampId)])];
  await gate.untilBlocked(1);
  completions.push(catalog.finishWith(jobs[1]!, 'lamp 3', [makePair(lampId)]));
  await gate.untilBlocked(2, completions[1]);
  await gate.open();
  const [secondId, thirdId] = await Promise.all(completions);
  expect(await listGroups(database)).toMatchObject([{}, { images: [lampId, secondId, thirdId] }]);
  await expectConsistency();
});

test('leaves no deleted image in a group when it gets its first pair at the same time', async () => {
  const lampId = await catalog.add('lamp');
  const job = await catalog.upload('chair');
  const gate = await gateAtDeletion(lampId);
  const deletion = catalog.softDelete(lampId);
  await gate.untilBlocked(1);
  const completion = catalog.finishWith(job, 'chair', [makePair(lampId)]);
  await gate.untilBlocked(2, completion);
  await gate.open();
  await Promise.all([deletion, completion]);
  expect(await listGroups(database)).toHaveLength(1);
  await expectConsistency();
});
