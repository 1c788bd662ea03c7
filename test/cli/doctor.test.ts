import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runVitrine } from '../support/process/command.ts';
import { makeDataFolder, makeFolder, removeFolder } from '../support/process/data-folder.ts';
import { startServer } from '../support/process/server.ts';

async function createTemporaryFolder(create: () => Promise<string>): Promise<string> {
  const folder = await create();
  onTestFinished(() => removeFolder(folder));
  return folder;
}
const runDoctor = (env: Record<string, string>) => runVitrine(['doctor'], env);

test('reports no problems for an unused data folder', async () => {
  const { code, stdout, stderr } = await runDoctor({ DATA_DIR: await createTemporaryFolder(makeDataFolder) });
  expect([code, stderr]).toEqual([0, '']);
  for (const subject of ['Vitrine', 'Node', 'decoder', 'privacy', 'database', 'storage', 'disk'])
    expect(stdout).toMatch(new RegExp(`^ok\\s+${subject}\\b`, 'm'));
  expect(stdout).toMatch(/Everything is fine\.\n$/);
});

test('does not create a missing data folder', async () => {
  const dataDir = join(await createTemporaryFolder(makeFolder), 'missing');
  const { code, stdout } = await runDoctor({ DATA_DIR: dataDir });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ok {4}storage +not created yet; the first start creates .*missing/m);
  expect(stdout).toMatch(/^ok {4}disk +\d+ MiB free/m);
  expect(existsSync(dataDir)).toBe(false);
});

test('suggests a fix when the disk is nearly full', async () => {
  const env = { DATA_DIR: await createTemporaryFolder(makeDataFolder), MIN_FREE_DISK_MB: '1000000' };
  const { code, stdout } = await runDoctor(env);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^FAIL {2}disk .*uploads need at least 1000000 MiB.*\n {6}→ Free up space/m);
  expect(stdout).toMatch(/^ok\s+database/m);
  expect(stdout).toMatch(/\n1 problem found\.\n$/);
});

test('suggests a fix when the storage folder is not writable', async () => {
  const folder = await createTemporaryFolder(makeDataFolder);
  await writeFile(join(folder, 'a-file'), '');
  const { code, stdout } = await runDoctor({
    DATA_DIR: folder,
    STORAGE_PATH: join(folder, 'a-file', 'storage'),
  });
  expect(code).toBe(1);
  expect(stdout).toMatch(/^FAIL {2}storage .*\n {6}→ Check the owner and permissions/m);
  expect(stdout).toMatch(/^ok\s+database/m);
  expect(stdout).toMatch(/problems? found\.\n$/);
});

test('suggests a fix when the data folder cannot be created', async () => {
  const folder = await createTemporaryFolder(makeFolder);
  await writeFile(join(folder, 'a-file'), '');
  const { code, stdout } = await runDoctor({ DATA_DIR: join(folder, 'a-file', 'data') });
  expect(code).toBe(1);
  expect(stdout).toMatch(/^FAIL {2}(database|storage) .*ENOTDIR.*\n {6}→ /m);
});

test('reports a database that cannot be opened', async () => {
  const folder = await createTemporaryFolder(makeDataFolder);
  await rm(join(folder, 'db', 'base'), { recursive: true });
  const { code, stdout } = await runDoctor({ DATA_DIR: folder });
  expect(code).toBe(1);
  expect(stdout).toMatch(/^FAIL {2}database .*\n {6}→ Restore .* from a backup/m);
});

test('reports a running server', async () => {
  const { dataDir, pid, url } = await startServer();
  const { code, stdout } = await runDoctor({ DATA_DIR: dataDir });
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`^ok\\s+server\\s+process ${pid} responds at ${url}`, 'm'));
});
