import { expect, test } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { makeQueries } from '../../../src/db/queries.ts';
import { makePreset, type RenditionFormat } from '../../../src/model/preset.ts';
import { unrestrictedPrincipal as everyone } from '../../../src/model/principal.ts';
import { composeSweeper } from '../../../src/services/sweep/compose-sweeper.ts';
import { selectRows } from '../../support/inner/database.ts';
import { fixPresets } from '../../support/inner/fix-presets.ts';
import { makeUniquePicture } from '../../support/inner/pictures.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';
import { makeRig, type Rig, useTestResources } from '../../support/inner/rig.ts';

const resources = await useTestResources();
const card = makePreset({ name: 'card', width: 40, height: 40 });
const { signal } = new AbortController();

const load = (rig: Rig, uuid: string, format: RenditionFormat) =>
  rig.services.deliver.load(everyone, { uuid, preset: 'card', density: 1, format }, signal);

/** Runs every sweep once, as a process with these settings does. */
async function sweep(rig: Rig, settings: Record<string, string>): Promise<void> {
  const queries = makeQueries(rig.database);
  const { sweeper } = composeSweeper({
    ...rig,
    queries,
    presets: fixPresets(rig.presets),
    config: loadConfig(settings),
  });
  await sweeper.runOnce('all');
  // Other processes have no turn for a while. The next call is one after this time.
  await rig.database.runScript('DELETE FROM sweep_passes');
}

const listRows = () =>
  selectRows<{ format: string; days: number | null }>(
    resources.database,
    `SELECT format, round(extract(epoch FROM now() - superseded_at) / 86400)::int AS days FROM renditions
     ORDER BY format, superseded_at NULLS FIRST`,
  );

/** Expects that the stored renditions are those with a row, and that the counters are exact. */
async function expectConsistent(rig: Rig): Promise<void> {
  const rows = await selectRows<{ key: string }>(
    rig.database,
    'SELECT storage_key AS key FROM renditions ORDER BY 1',
  );
  const stored = (await rig.storedKeys()).filter((key) => key.startsWith('renditions/'));
  expect(stored).toEqual(rows.map(({ key }) => key).toSorted());
  expect(await usageFromCounters(rig.database)).toEqual(await usageFromRows(rig.database));
}

test('removes superseded renditions after OLD_RENDITIONS_KEEP_DAYS, whether or not they were made on request', async () => {
  const rig = await makeRig(resources, { presets: [card] });
  const { image } = await rig.upload(await makeUniquePicture());
  await load(rig, image.uuid, 'webp');
  const changed = { ...card, width: 30 };
  const newRig = await makeRig(resources, { presets: [changed], root: rig.root });
  await load(newRig, image.uuid, 'jpeg');
  await load(newRig, image.uuid, 'webp');
  await resources.database.runScript(`
    UPDATE renditions SET superseded_at = now() - interval '4 days' WHERE superseded_at IS NOT NULL AND format = 'jpeg';
    UPDATE renditions SET superseded_at = now() - interval '2 days' WHERE superseded_at IS NOT NULL AND format = 'webp'`);

  await sweep(newRig, { OLD_RENDITIONS_KEEP_DAYS: '5' });
  expect(await listRows()).toHaveLength(4);
  await sweep(newRig, { OLD_RENDITIONS_KEEP_DAYS: '3' });
  expect(await listRows()).toEqual([
    { format: 'jpeg', days: null },
    { format: 'webp', days: null },
    { format: 'webp', days: 2 },
  ]);
  await expectConsistent(newRig);
  await sweep(newRig, { OLD_RENDITIONS_KEEP_DAYS: '0' });
  expect(await listRows()).toEqual([
    { format: 'jpeg', days: null },
    { format: 'webp', days: null },
  ]);
  await expectConsistent(newRig);
});

test('limits the renditions that were made on request to DERIVED_MAX_BYTES, and removes none without a limit', async () => {
  const rig = await makeRig(resources, { presets: [card] });
  for (let index = 0; index < 3; index++) {
    const { image } = await rig.upload(await makeUniquePicture());
    await load(rig, image.uuid, 'webp');
  }
  const total = await rig.renditionRemoval.sumOnRequestBytes();
  await sweep(rig, {});
  await sweep(rig, { DERIVED_MAX_BYTES: String(total) });
  expect(await listRows()).toHaveLength(6);
  await sweep(rig, { DERIVED_MAX_BYTES: String(total - 1) });
  expect((await listRows()).map(({ format }) => format)).toEqual(['jpeg', 'jpeg', 'jpeg', 'webp', 'webp']);
  expect(await rig.renditionRemoval.sumOnRequestBytes()).toBeLessThan(total);
  await expectConsistent(rig);
  await sweep(rig, { DERIVED_MAX_BYTES: '1' });
  expect((await listRows()).map(({ format }) => format)).toEqual(['jpeg', 'jpeg', 'jpeg']);
  await expectConsistent(rig);
});

test('counts a shared file once, and removes the rows of all images that use it', async () => {
  const rig = await makeRig(resources, { presets: [card] });
  const bytes = await makeUniquePicture();
  const { image: first } = await rig.upload(bytes);
  await rig.softDelete({ id: first.id });
  const { image: second } = await rig.upload(bytes);
  await rig.services.restoreImage(everyone, { id: first.id });
  await load(rig, first.uuid, 'webp');
  const ofOne = await rig.renditionRemoval.sumOnRequestBytes();
  await load(rig, second.uuid, 'webp');
  expect((await listRows()).map(({ format }) => format)).toEqual(['jpeg', 'jpeg', 'webp', 'webp']);
  expect(await rig.renditionRemoval.sumOnRequestBytes()).toBe(ofOne);
  await sweep(rig, { DERIVED_MAX_BYTES: String(ofOne) });
  expect(await listRows()).toHaveLength(4);
  // The first pass removes the row of the owner. The other image then owns the file, so the next pass removes that as well.
  await sweep(rig, { DERIVED_MAX_BYTES: '1' });
  await sweep(rig, { DERIVED_MAX_BYTES: '1' });
  expect((await listRows()).map(({ format }) => format)).toEqual(['jpeg', 'jpeg']);
  const stored = (await rig.storedKeys()).filter((key) => key.startsWith('renditions/'));
  expect(stored.filter((key) => key.endsWith('.webp'))).toEqual([]);
  expect(await usageFromCounters(rig.database)).toEqual(await usageFromRows(rig.database));
});
