import { expect, onTestFinished, test } from 'vitest';
import { call, upload } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { makeDataFolder, removeFolder } from '../support/process/data-folder.ts';
import { jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';

const server = useServer({ PURGE_CONFIRM_TOKEN: 'open sesame' });

const purge = (args: string[], env: Record<string, string> = {}) =>
  runVitrine(['purge', ...args], {
    DATA_DIR: server().dataDir,
    PURGE_CONFIRM_TOKEN: 'open sesame',
    ...env,
  });
const statusOf = async (id: number, action = '') =>
  (await call(`${server().url}/v1/images/${id}${action}`, { method: action ? 'POST' : 'GET' })).status;

async function uploadNew(name: string, tenant = 'shop'): Promise<number> {
  return (await upload(server().url, await jpeg(name), tenant)).body.id;
}

test('counts deleted images first and removes them after confirmation', async () => {
  const kept = await uploadNew('kept');
  const deleted = await uploadNew('deleted');
  await call(`${server().url}/v1/images/${deleted}`, { method: 'DELETE' });

  const recent = await purge([]);
  expect([recent.code, recent.stdout]).toEqual([0, 'There are no deleted images to remove.\n']);
  const dry = await purge(['--days', '0']);
  expect(dry.code).toBe(0);
  expect(dry.stdout).toMatch(/^Would remove 1 deleted image and free [\d.]+ k?B.* Nothing was removed/);
  const report = JSON.parse((await purge(['--days', '0', '--json'])).stdout);
  expect(report).toMatchObject({ dry_run: true, found: 1, deleted_count: 0, deleted_bytes: 0 });
  expect(report.bytes_to_delete).toBeGreaterThan(0);
  expect(await statusOf(deleted, '/restore')).toBe(200);

  await call(`${server().url}/v1/images/${deleted}`, { method: 'DELETE' });
  const done = await purge(['--days', '0', '--confirm']);
  expect([done.code, done.stdout]).toEqual([
    0,
    expect.stringMatching(/^Removed 1 image and 4 files, freeing /),
  ]);
  expect(await statusOf(deleted, '/restore')).toBe(404);
  expect(await statusOf(kept)).toBe(200);
});

test('purges unused images of one tenant, and warns about unused references', async () => {
  const unused = await uploadNew('unused', 'shelf');
  const used = await uploadNew('used', 'shelf');
  const elsewhere = await uploadNew('elsewhere', 'other');

  const warned = await purge(['--unused', '--tenant', 'shelf']);
  expect(warned.stdout).toMatch(
    /^Note: The tenant "shelf" has never used references.*\nWould remove 2 unused images/,
  );
  await call(`${server().url}/v1/images/${used}/references/sku-1`, { method: 'PUT' });

  const refused = await purge(['--unused', '--tenant', 'shelf', '--confirm', '--token', 'wrong']);
  expect([refused.code, refused.stdout]).toEqual([1, '']);
  expect(refused.stderr).toContain('does not match PURGE_CONFIRM_TOKEN');
  expect(await statusOf(unused)).toBe(200);

  const done = await purge(['--unused', '--tenant', 'shelf', '--confirm', '--json']);
  expect(JSON.parse(done.stdout)).toMatchObject({
    dry_run: false,
    found: 1,
    deleted_count: 1,
    deleted_files: 4,
    warnings: [],
    errors: [],
  });
  expect([await statusOf(unused), await statusOf(used), await statusOf(elsewhere)]).toEqual([404, 200, 200]);
});

test('starts a local server if none is running and needs no token for it', async () => {
  const folder = await makeDataFolder();
  onTestFinished(() => removeFolder(folder));
  const env = { DATA_DIR: folder, HOST: '0.0.0.0', LOG_LEVEL: 'silent' };
  for (const scope of [[], ['--unused']])
    expect(await runVitrine(['purge', '--confirm', ...scope], env)).toMatchObject({ code: 0 });
});

test('reports invalid arguments and failures', async () => {
  const tenant = await purge(['--unused', '--tenant', 'nobody']);
  expect([tenant.code, tenant.stderr]).toEqual([1, 'There is no tenant "nobody".\n']);
  const incomplete = await purge(['--tenant', 'shop']);
  expect([incomplete.code, incomplete.stderr]).toEqual([
    2,
    expect.stringContaining('--tenant requires --unused'),
  ]);
  const days = await purge(['--days', 'soon']);
  expect([days.code, days.stderr]).toEqual([
    2,
    expect.stringContaining('--days must be a whole number from 0 to 36500, not "soon".'),
  ]);
  const unreachable = await purge(['--url', 'http://127.0.0.1:9']);
  expect([unreachable.code, unreachable.stderr]).toEqual([1, expect.stringContaining('No response from')]);
});
