import { readdir } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { call } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { makeFolder, removeFolder } from '../support/process/data-folder.ts';
import { startServer } from '../support/process/server.ts';

test('imports a sample catalog and rejects only its corrupt file', {
  tags: 'slow',
}, async () => {
  const { url, dataDir } = await startServer();
  const keptFolder = await makeFolder();
  onTestFinished(() => removeFolder(keptFolder));
  const args = ['seed', '--products', '1', '--tenant', 'sample', '--keep', keptFolder];
  const firstRun = await runVitrine(args, { DATA_DIR: dataDir });
  expect(firstRun.code).toBe(0);
  expect(firstRun.stdout).toMatch(/\d+ images: [1-9]\d* new, .* 1 refused/);
  expect(firstRun.stdout).toMatch(/was refused as intended/);
  expect((await readdir(keptFolder, { recursive: true })).length).toBeGreaterThan(2);
  const { body } = await call<{ total: number; items: { status: string }[] }>(
    `${url}/v1/images?tenant=sample`,
  );
  expect(body.total).toBeGreaterThan(1);
  expect(body.items.every(({ status }) => status === 'completed')).toBe(true);
  const secondRun = await runVitrine(['seed', '--products', '1', '--tenant', 'sample', '--url', url], {});
  expect([secondRun.code, secondRun.stdout]).toMatchObject([0, expect.stringMatching(/ 0 new, /)]);
  expect((await call(`${url}/v1/images?tenant=sample`)).body['total']).toBe(body.total);
});
