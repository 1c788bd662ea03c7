import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openEmbeddedDatabase } from '../../../src/db/engine/embedded.ts';
import { beginOpening } from '../../../src/db/engine/start-embedded-thread.ts';
import { migrate } from '../../../src/db/engine/migrate.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { makeTestFolder } from '../../support/inner/folders.ts';
import { copyTemplate } from '../../support/inner/template-database.ts';

test('keeps all rows when the embedded database is reopened', async () => {
  const directory = join(await makeTestFolder(), 'db');
  await copyTemplate(directory);
  const firstDatabase = await openEmbeddedDatabase(directory);
  const { id } = await makeTenantQueries(firstDatabase).ensure('kept');
  await firstDatabase.close();
  const reopenedDatabase = await openEmbeddedDatabase(directory);
  onTestFinished(() => reopenedDatabase.close());
  expect(await makeTenantQueries(reopenedDatabase).find('kept')).toEqual({ id, name: 'kept' });
});

test('renames an incomplete database folder and creates a new database', async () => {
  const directory = join(await makeTestFolder(), 'db');
  await mkdir(directory);
  await writeFile(join(directory, 'PG_VERSION'), 'incomplete');
  const database = await openEmbeddedDatabase(directory);
  onTestFinished(() => database.close());
  expect((await migrate(database)).applied).not.toEqual([]);
  expect(await readFile(join(`${directory}.unfinished`, 'PG_VERSION'), 'utf8')).toBe('incomplete');
  expect(existsSync(join(directory, 'VITRINE_READY'))).toBe(true);
});

test('begins a new session when the pool replaces its connection', async () => {
  const directory = join(await makeTestFolder(), 'db');
  await copyTemplate(directory);
  const database = await openEmbeddedDatabase(directory);
  onTestFinished(() => database.close());
  const tenants = makeTenantQueries(database);
  // A statement is prepared when it runs for the second time.
  for (const name of ['a', 'b', 'c']) await tenants.ensure(name);
  await expect(database.runScript('BEGIN; SELECT 1 / 0')).rejects.toThrow('division by zero');
  expect(await tenants.ensure('d')).toMatchObject({ name: 'd' });
  expect(await tenants.find('d')).toMatchObject({ name: 'd' });
});

test('rejects a database that cannot be opened, and does not wait for it', async () => {
  const directory = join(await makeTestFolder(), 'db');
  await copyTemplate(directory);
  await writeFile(join(directory, 'PG_VERSION'), '9.6\n');
  await expect(openEmbeddedDatabase(directory)).rejects.toThrow('PGlite failed to initialize properly');
});

test('rejects queries when its thread has ended', async () => {
  const directory = join(await makeTestFolder(), 'db');
  await copyTemplate(directory);
  const thread = await beginOpening(directory);
  await thread.close();
  await expect(thread.execute(new Uint8Array())).rejects.toThrow(
    'The thread of the embedded database has ended.',
  );
});
