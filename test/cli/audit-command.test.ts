import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runAuditCommand } from '../../src/cli/audit/audit-command.ts';
import { UsageError } from '../../src/cli/options.ts';
import { loadConfig } from '../../src/config.ts';
import { openEmbeddedDatabase } from '../../src/db/engine/embedded.ts';
import { tamper } from '../support/inner/audit-log.ts';
import { upload } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { makeDataFolder, removeFolder } from '../support/process/data-folder.ts';
import { jpeg } from '../support/process/pictures.ts';
import { launch, type Server } from '../support/process/server.ts';

let folder = '';
let server: Server | undefined;

const run = (...args: string[]) => runVitrine(['audit', ...args], { DATA_DIR: folder });

interface Verification {
  readonly intact: boolean;
  readonly chains: readonly { readonly tenant: string; readonly damage: object | null }[];
}

beforeAll(async () => {
  folder = await makeDataFolder();
  server = await launch(folder).ready();
  for (const tenant of ['shop', 'rival'])
    for (const name of ['one', 'two', 'three']) await upload(server.url, await jpeg(name), tenant);
});

afterAll(async () => {
  await server?.kill9();
  await removeFolder(folder);
});

test('rejects wrong arguments', async () => {
  const rejected: [inputs: string[], since: string | undefined, message: RegExp][] = [
    [[], undefined, /verify, export/],
    [['repair'], undefined, /verify, export/],
    [['verify', 'shop'], undefined, /Unexpected argument "shop"/],
    [['export'], 'yesterday', /--since must be a date.*"yesterday"/],
    [['export'], '2026-13-45', /--since must be a date/],
    [['export'], '2026-11-01T08:00', /with a time zone/],
    [['verify'], '2026-11-01', /--since cannot be used with verify, only with export/],
  ];
  for (const [inputs, since, message] of rejected) {
    const options = {
      config: loadConfig({ DATA_DIR: folder }),
      inputs,
      since,
      url: undefined,
      tenant: undefined,
    };
    const streams = { output: process.stdout, errorOutput: process.stderr };
    const command = runAuditCommand({
      ...options,
      ...streams,
      out: undefined,
      json: false,
      failureCode: 2,
    });
    await expect(command).rejects.toThrow(message);
    await expect(command).rejects.toBeInstanceOf(UsageError);
  }
});

/** The tests run in this order: they stop the server, and then damage its log. */
describe('vitrine audit', () => {
  test('verifies and exports through the running server', async () => {
    await expect
      .poll(async () => (await run('verify')).stdout)
      .toBe('The audit log is intact: 6 entries in 2 chains.\n');
    const { code, stdout } = await run('export', '--tenant', 'shop');
    expect(code).toBe(0);
    expect((await run('export', '--actor', 'nobody')).stdout).toBe('');
    expect(await run('export', '--action', 'repair')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--action must be one of image.create, '),
    });
    const entries = stdout.trimEnd().split('\n');
    expect(entries.map((line) => (JSON.parse(line) as { position: number }).position)).toEqual([1, 2, 3]);
  });

  test('names a tenant that does not exist', async () => {
    for (const action of ['verify', 'export']) {
      const { code, stdout, stderr } = await run(action, '--tenant', 'nobody');
      expect([code, stdout, stderr]).toEqual([2, '', 'There is no tenant "nobody".\n']);
    }
  });

  test('exits with 2 if the log cannot be read', async () => {
    const { code, stderr } = await run('verify', '--url', 'http://127.0.0.1:9');
    expect([code, stderr]).toEqual([2, expect.stringContaining('No response from')]);
  });

  test('opens the database if no server is running', async () => {
    await server?.stop();
    expect(await run('verify', '--tenant', 'shop')).toMatchObject({
      code: 0,
      stdout: 'The audit log is intact: 3 entries in 1 chain.\n',
    });
    const out = join(folder, 'audit.ndjson');
    expect(await run('export', '--out', out)).toMatchObject({
      code: 0,
      stdout: '',
      stderr: `Exported 6 entries to ${out}.\n`,
    });
    expect(readFileSync(out, 'utf8').trimEnd().split('\n')).toHaveLength(6);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    expect(existsSync(`${out}.part`)).toBe(false);
    expect(await run('export', '--tenant', 'shop', '--out', out)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`--out: ${out} exists already; add --force to overwrite it.`),
    });
    expect(readFileSync(out, 'utf8').trimEnd().split('\n')).toHaveLength(6);
    expect(await run('export', '--tenant', 'shop', '--out', out, '--force')).toMatchObject({
      code: 0,
      stderr: `Exported 3 entries to ${out}.\n`,
    });
    expect(readFileSync(out, 'utf8').trimEnd().split('\n')).toHaveLength(3);
    expect(await run('export', '--out', join(folder, 'missing', 'audit.ndjson'))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`--out: there is no folder ${join(folder, 'missing')}.`),
    });
    expect(await run('export', '--since', '2100-01-01')).toMatchObject({ code: 0, stdout: '' });
    expect(await run('export', '--until', '2001-01-01')).toMatchObject({ code: 0, stdout: '' });
    const filter = ['--until', '2100-01-01', '--action', 'image.create', '--actor', 'open'];
    expect((await run('export', ...filter)).stdout.trimEnd().split('\n')).toHaveLength(6);
    expect(await run('export', '--action', 'key.create')).toMatchObject({ code: 0, stdout: '' });
  });

  test('names the damage and exits with 1, with a server and without', async () => {
    const database = await openEmbeddedDatabase(join(folder, 'db'));
    await tamper(
      database,
      `UPDATE audit_log SET actor = 'nobody' WHERE tenant = 'rival' AND position = 2;
       INSERT INTO audit_log (tenant_id, actor, action) SELECT min(tenant_id), 'x', 'image.create' FROM audit_log`,
    );
    await database.close();
    const offline = await run('verify');
    expect(offline.code).toBe(1);
    expect(offline.stderr).toMatch(
      /^The audit log is damaged in 1 of 2 chains:\n {2}Tenant rival, position 2 \(entry \d+\): The entry does not match/,
    );
    expect(offline.stderr).toMatch(
      /Not sealed yet, so not verified: 1 entry\..*\n {2}entry \d+, \S+: image\.create\n$/,
    );
    server = await launch(folder).ready();
    const { code, stdout } = await run('verify', '--json');
    expect(code).toBe(1);
    const { intact, chains } = JSON.parse(stdout) as Verification;
    expect(intact).toBe(false);
    expect(chains.filter(({ damage }) => damage !== null).map(({ tenant }) => tenant)).toEqual(['rival']);
    expect(await run('verify', '--tenant', 'shop')).toMatchObject({ code: 0 });
  });
});
