import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runVitrine } from '../support/process/command.ts';
import { makeFolder, removeFolder } from '../support/process/data-folder.ts';

async function createTemporaryFolder(create: () => Promise<string>): Promise<string> {
  const folder = await create();
  onTestFinished(() => removeFolder(folder));
  return folder;
}

test('does not create an installation in a folder that has none', async () => {
  const dataDir = join(await createTemporaryFolder(makeFolder), 'missing');
  for (const args of [
    ['keys', 'create', '--name', 'ops', '--role', 'admin'],
    ['keys', 'list'],
    ['audit', 'verify'],
  ]) {
    const { code, stdout, stderr } = await runVitrine(args, { AUTH: 'keys', DATA_DIR: dataDir });
    expect([code, stdout, stderr]).toEqual([
      1,
      '',
      `There is no installation in ${dataDir}. Start the server first, or set DATA_DIR to the folder of an installation.\n`,
    ]);
    expect(existsSync(dataDir)).toBe(false);
  }
});
