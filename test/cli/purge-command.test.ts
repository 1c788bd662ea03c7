import { expect, onTestFinished, test } from 'vitest';
import { call, upload } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { makeDataFolder, removeFolder } from '../support/process/data-folder.ts';
import { jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';

const server = useServer({ PURGE_CONFIRM_TOKEN: 'open sesame' });

const runPurge = (args: string[], env: Record<string, string> = {}) =>
  runVitrine(['purge', ...args], {
    DATA_DIR: server().dataDir,
    PURGE_CONFIRM_TOKEN: 'open sesame',
    ...env,
  });
const requestStatus = async (id: number, action = '') =>
  (await call(`${server().url}/v1/images/${id}${action}`, { method: action ? 'POST' : 'GET' })).status;

async function uploadNew(name: string, tenant = 'shop'): Promise<number> {
  return (await upload(server().url, await jpeg(name), tenant)).body.id;
}

test('counts deleted images, and removes them only with --confirm', async () => {
  const keptId = await uploadNew('kept');
  const deletedId = await uploadNew('deleted');
  await call(`${server().url}/v1/images/${deletedId}`, { method: 'DELETE' });

  const defaultAgeResult = await runPurge([]);
  expect([defaultAgeResult.code, defaultAgeResult.stdout]).toEqual([
    0,
    'There are no deleted images to remove.\n',
  ]);
  const dryRun = await runPurge(['--days', '0']);
  expect(dryRun.code).toBe(0);
  expect(dryRun.stdout).toMatch(/^Would remove 1 deleted image and free [\d.]+ k?B.* Nothing was removed/);
  const report = JSON.parse((await runPurge(['--days', '0', '--json'])).stdout);
  expect(report).toMatchObject({ dry_run: true, found: 1, deleted_count: 0, deleted_bytes: 0 });
  expect(report.bytes_to_delete).toBeGreaterThan(0);
  expect(await requestStatus(deletedId, '/restore')).toBe(200);

  await call(`${server().url}/v1/images/${deletedId}`, { method: 'DELETE' });
  const purgeResult = await runPurge(['--days', '0', '--confirm']);
  expect([purgeResult.code, purgeResult.stdout]).toEqual([
    0,
    expect.stringMatching(/^Removed 1 image and 4 files, freeing /),
  ]);
  expect(await requestStatus(deletedId, '/restore')).toBe(404);
  expect(await requestStatus(keptId)).toBe(200);
});

test("purges one tenant's deleted images", async () => {
  const [ownId, otherId] = [await uploadNew('own', 'closet'), await uploadNew('other', 'attic')];
  for (const id of [ownId, otherId]) await call(`${server().url}/v1/images/${id}`, { method: 'DELETE' });
  const dryRun = await runPurge(['--tenant', 'closet', '--days', '0']);
  expect(dryRun.stdout).toMatch(/^Would remove 1 deleted image /);
  const purged = await runPurge(['--tenant', 'closet', '--days', '0', '--confirm']);
  expect([purged.code, purged.stdout]).toEqual([0, expect.stringMatching(/^Removed 1 image and /)]);
  expect(await requestStatus(ownId, '/restore')).toBe(404);
  expect(await requestStatus(otherId, '/restore')).toBe(200);
});

test("purges one tenant's unused images, and warns if the tenant has never used references", async () => {
  const unusedId = await uploadNew('unused', 'shelf');
  const usedId = await uploadNew('used', 'shelf');
  const otherTenantId = await uploadNew('elsewhere', 'other');

  const warningResult = await runPurge(['--unused', '--tenant', 'shelf']);
  expect(warningResult.stdout).toMatch(
    /^Note: The tenant "shelf" has never used references.*\nWould remove 2 unused images/,
  );
  await call(`${server().url}/v1/images/${usedId}/references/sku-1`, { method: 'PUT' });

  const rejectedResult = await runPurge(['--unused', '--tenant', 'shelf', '--confirm', '--token', 'wrong']);
  expect([rejectedResult.code, rejectedResult.stdout]).toEqual([1, '']);
  expect(rejectedResult.stderr).toContain('does not match PURGE_CONFIRM_TOKEN');
  expect(await requestStatus(unusedId)).toBe(200);

  const purgeResult = await runPurge(['--unused', '--tenant', 'shelf', '--confirm', '--json']);
  expect(JSON.parse(purgeResult.stdout)).toMatchObject({
    dry_run: false,
    found: 1,
    deleted_count: 1,
    deleted_files: 4,
    warnings: [],
    errors: [],
  });
  expect([
    await requestStatus(unusedId),
    await requestStatus(usedId),
    await requestStatus(otherTenantId),
  ]).toEqual([404, 200, 200]);
});

test('starts a local server if no server is running, and requires no token', {
  tags: 'scenario',
}, async () => {
  const folder = await makeDataFolder();
  onTestFinished(() => removeFolder(folder));
  const env = { DATA_DIR: folder, HOST: '0.0.0.0', LOG_LEVEL: 'silent' };
  for (const scope of [[], ['--unused']])
    expect(await runVitrine(['purge', '--confirm', ...scope], env)).toMatchObject({ code: 0 });
});

test('reports invalid arguments and failures', async () => {
  const unknownTenant = await runPurge(['--unused', '--tenant', 'nobody']);
  expect([unknownTenant.code, unknownTenant.stderr]).toEqual([1, 'There is no tenant "nobody".\n']);
  const unknownOwner = await runPurge(['--tenant', 'nobody']);
  expect([unknownOwner.code, unknownOwner.stderr]).toEqual([1, 'There is no tenant "nobody".\n']);
  const invalidDays = await runPurge(['--days', 'soon']);
  expect([invalidDays.code, invalidDays.stderr]).toEqual([
    2,
    expect.stringContaining('--days must be a whole number from 0 to 36500, not "soon".'),
  ]);
  const unreachableServer = await runPurge(['--url', 'http://127.0.0.1:9']);
  expect([unreachableServer.code, unreachableServer.stderr]).toEqual([
    1,
    expect.stringContaining('No response from'),
  ]);
});
