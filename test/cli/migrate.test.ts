import { expect, onTestFinished, test } from 'vitest';
import { runVitrine } from '../support/process/command.ts';
import { makeFolder, removeFolder } from '../support/process/data-folder.ts';
import { startServer } from '../support/process/server.ts';

test('creates the schema, and does nothing if it is up to date', { tags: 'scenario' }, async () => {
  const folder = await makeFolder();
  onTestFinished(() => removeFolder(folder));
  const firstRun = await runVitrine(['migrate'], { DATA_DIR: folder });
  expect([firstRun.code, firstRun.stderr]).toEqual([0, '']);
  expect(firstRun.stdout).toMatch(/^Schema version \d+: applied 0001-/);
  const secondRun = await runVitrine(['migrate'], { DATA_DIR: folder });
  expect(secondRun.code).toBe(0);
  expect(secondRun.stdout).toMatch(/^Schema version \d+: already up to date\.\n$/);
});

test('leaves the migration to a running server', async () => {
  const { dataDir, pid } = await startServer();
  const { code, stdout } = await runVitrine(['migrate'], { DATA_DIR: dataDir });
  expect(code).toBe(0);
  expect(stdout).toContain(`process ${pid}`);
});
