import { expect, test } from 'vitest';
import { makeQueries } from '../../src/db/queries.ts';
import { AppError } from '../../src/errors.ts';
import { makePreset, type PresetOptions } from '../../src/model/preset.ts';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { openPresets, type PresetRole } from '../../src/services/follow-presets.ts';
import { selectRow, useDatabase } from '../support/inner/database.ts';
import { makeRecordingLogger } from '../support/inner/logger.ts';

const database = await useDatabase();
const queries = makeQueries(database);

const makePresets = (...options: Partial<PresetOptions>[]) =>
  options.map((option) => makePreset({ name: 'card', width: 40, height: 40, ...option }));
const oldPresets = makePresets({ name: 'thumb' }, { quality: 80 });
const newPresets = makePresets({ name: 'hero' }, { quality: 90, densities: [1, 2] });

/** Opens the presets of a process as at its start. */
async function open(role: PresetRole, configured = oldPresets) {
  const logger = makeRecordingLogger();
  const presets = await openPresets({
    queries: queries.storedPresets,
    configured,
    role,
    programVersion: '1.2.3',
    logger,
  });
  return { presets, messages: () => logger.messages().join('\n') };
}

const changes = async () =>
  (await queries.audit.list(unrestrictedPrincipal, { action: 'presets.change' }, { limit: 10, offset: 0 }))
    .items;

test.each(['decide', 'follow'] as const)(
  'registers the presets of the first process, which %ss',
  async (role) => {
    const { presets } = await open(role);
    expect(presets.list()).toEqual(oldPresets);
    expect(presets.version()).toBe(1);
    expect(presets.warning()).toBeUndefined();
    expect(await presets.forRendering()).toEqual(oldPresets);
  },
);

test('the process that decides last replaces the presets, and the others follow', async () => {
  const before = (await changes()).length;
  const first = await open('decide');
  const second = await open('decide', newPresets);
  expect(second.presets.warning()).toBeUndefined();
  expect(second.messages()).toContain(
    'changed the presets in force (version 2): added: hero; removed: thumb; changed: card (densities, quality)',
  );

  await first.presets.refresh(0);
  expect(first.presets.list()).toEqual(newPresets);
  expect(first.presets.find('hero')).toEqual(newPresets[0]);
  expect(first.presets.version()).toBe(2);
  expect(first.presets.warning()).toContain(
    'differ from PRESETS of this process: added: hero; removed: thumb',
  );
  expect(first.messages()).toContain('follows the presets in force (version 2)');
  const [entry, ...others] = await changes();
  expect(others).toHaveLength(before);
  expect(entry).toMatchObject({
    actor: 'system',
    tenant: null,
    details: { version: 2, added: ['hero'], removed: ['thumb'], changed: { card: ['densities', 'quality'] } },
  });
});

test('a process that follows does not replace the presets, and makes renditions with those in force', async () => {
  await open('decide');
  const { presets, messages } = await open('follow', newPresets);
  expect(await presets.forRendering()).toEqual(oldPresets);
  expect(messages()).toContain('differ from PRESETS of this process: added: thumb; removed: hero');
  expect((await queries.storedPresets.find())?.version).toBe(1);
});

test('the same presets in another order change nothing', async () => {
  await open('decide');
  const { presets } = await open('decide', oldPresets.toReversed());
  expect(presets.version()).toBe(1);
  expect(presets.warning()).toBeUndefined();
});

test.each(['decide', 'follow'] as const)(
  'a process that %ss makes no renditions with options that it does not know, and does not replace them',
  async (role) => {
    const { presets: running } = await open('decide');
    await database.runScript(`
      UPDATE presets_in_force SET version = version + 1, registered_by = '9.0.0',
        presets = jsonb_set(presets, '{0,sharpen}', 'true')`);
    const starting = await open(role, newPresets);
    await running.refresh(0);
    for (const presets of [running, starting.presets]) {
      expect(presets.isUnderstood()).toBe(false);
      expect(presets.warning()).toContain('Vitrine 9.0.0 has registered presets with options');
      await expect(presets.forRendering()).rejects.toThrow(AppError);
    }
    expect(running.list()).toEqual(oldPresets);
    expect(await selectRow(database, 'SELECT version FROM presets_in_force')).toEqual({ version: 2 });
  },
);
