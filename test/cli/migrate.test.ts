import { expect, onTestFinished, test } from 'vitest';
import { runVitrine } from '../support/process/command.ts';
import { makeFolder, removeFolder } from '../support/process/data-folder.ts';
import { startServer } from '../support/process/server.ts';

test('creates the schema once and does nothing the second time', async () => {
  const folder = await makeFolder();
  onTestFinished(() => removeFolder(folder));
  const first = await runVitrine(['migrate'], { DATA_DIR: folder });
  expect([first.code, first.stderr]).toEqual([0, '']);
  expect(first.stdout).toMatch(/^Schema version \d+: applied 0001-/);
  const second = await runVitrine(['migrate'], { DATA_DIR: folder });
  expect(second.code).toBe(0);
  expect(second.stdout).toMatch(/^Schema version \d+: already up to date\.\n$/);
});

test('leaves the migration to a running server', async () => {
  const { dataDir, pid } = await startServer();
  const { code, stdout } = await runVitrine(['migrate'], { DATA_DIR: dataDir });
  expect(code).toBe(0);
  expect(stdout).toContain(`process ${pid}`);
});
