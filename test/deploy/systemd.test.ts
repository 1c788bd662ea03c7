import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { call, waitForFinishedImage, upload, uploadQueued } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { jpeg } from '../support/process/pictures.ts';
import { services } from '../support/services.ts';
import { findDatabaseTarget, useDatabase } from './support/backing-services.ts';
import { canRunContainers, createKeyInside, startContainer, waitUntilHealthy } from './support/container.ts';

const folder = new URL('../../deploy/systemd/', import.meta.url);
const units = ['vitrine-api.service', 'vitrine-worker@.service'] as const;
const canRun = services.databaseUrl && canRunContainers();
const hasSystemdAnalyze = spawnSync('systemd-analyze', ['--version']).error === undefined;
if (!hasSystemdAnalyze)
  process.stdout.write('SKIPPED: the systemd unit verification. It needs systemd-analyze.\n');

type Unit = ReadonlyMap<string, readonly string[]>;

/** Parses a unit file after replacing `%i` with `instance`. */
async function readUnit(name: (typeof units)[number], instance = ''): Promise<Unit> {
  const text = (await readFile(new URL(name, folder), 'utf8')).replaceAll('%i', instance);
  const unit = new Map<string, string[]>();
  for (const [, key = '', value = ''] of text.matchAll(/^(\w+)=(.*)$/gm))
    unit.set(key, [...(unit.get(key) ?? []), value]);
  return unit;
}

const findFirstValue = (unit: Unit, key: string) => unit.get(key)?.[0] ?? '';

/** Returns the environment that systemd sets. The environment file overrides the unit's own variables. */
async function readUnitEnvironment(unit: Unit): Promise<Record<string, string>> {
  expect(findFirstValue(unit, 'EnvironmentFile')).toBe('/etc/vitrine/vitrine.env');
  const fileVariables = parseEnv(await readFile(new URL('vitrine.env.example', folder), 'utf8'));
  const unitVariables = parseEnv((unit.get('Environment') ?? []).join('\n'));
  return { ...unitVariables, ...fileVariables } as Record<string, string>;
}

/** The value that the comment in the environment file asks for. */
const secretKey = randomBytes(32).toString('hex');

async function startUnit(unit: Unit, sharedFolder: string) {
  const environment: Record<string, string> = {
    ...(await readUnitEnvironment(unit)),
    SECRET_KEY: secretKey,
  };
  const port = Number(
    findFirstValue(unit, 'ExecStart').includes('worker') ? environment['WORKER_PORT'] : environment['PORT'],
  );
  const container = await startContainer({
    command: findFirstValue(unit, 'ExecStart').split(' '),
    environment,
    workingFolder: findFirstValue(unit, 'WorkingDirectory'),
    writableFolder: `/var/lib/${findFirstValue(unit, 'StateDirectory')}`,
    sharedFolder,
    hostMappings: [{ name: 'localhost', port: 5432, target: findDatabaseTarget() }],
    ports: [port],
  });
  return { container, url: container.url(port), port };
}

describe.runIf(canRun)('the systemd units', () => {
  test('start and process uploads with only the variables that systemd sets and a shared picture folder', {
    tags: 'slow',
  }, async () => {
    const sharedFolder = await mkdtemp(join(tmpdir(), 'vitrine-test-'));
    onTestFinished(() => rm(sharedFolder, { recursive: true, force: true }));
    const api = await readUnit('vitrine-api.service');
    const databaseUrl = new URL((await readUnitEnvironment(api))['DATABASE_URL'] ?? '');
    const { username: user, password, pathname } = databaseUrl;
    await useDatabase({ user, password, database: pathname.slice(1) }, 'owner');

    const allUnits = [
      api,
      await readUnit('vitrine-worker@.service', '1'),
      await readUnit('vitrine-worker@.service', '2'),
    ];
    const [server, ...workers] = await Promise.all(allUnits.map((unit) => startUnit(unit, sharedFolder)));
    if (!server) throw new Error('There is no API.');
    for (const { container, port } of [server, ...workers]) await waitUntilHealthy(container, port);
    expect(workers.map(({ port }) => port)).toEqual([8101, 8102]);

    expect((await call(`${server.url}/v1/images`)).status).toBe(401);
    const key = await createKeyInside(server.container, '--role', 'admin');
    const inlineUpload = await upload(server.url, await jpeg('systemd inline'), 'shop', '', key);
    expect(inlineUpload.status).toBe(201);
    const queuedUpload = await uploadQueued(server.url, await jpeg('systemd queued'), 'shop', key);
    const image = await waitForFinishedImage(server.url, queuedUpload.body.asset_id, key);
    expect(image.status).toBe('completed');
    const headers = { authorization: `Bearer ${key}` };
    expect((await call(`${server.url}${image.renditions[0]?.url}`, { headers })).status).toBe(200);
    // The log is read asynchronously from a pipe.
    await expect
      .poll(() => workers.some(({ container }) => container.log().includes('completed in')))
      .toBe(true);
    const codes = await Promise.all([server, ...workers].map(({ container }) => container.stop()));
    expect(server.container.log()).not.toContain('cannot be searched');
    expect(codes, server.container.log()).toEqual([0, 0, 0]);
  });
});

describe('systemd unit files', () => {
  test.each(units)('do not start, and are not restarted, before SECRET_KEY is set: %s', async (name) => {
    const unit = await readUnit(name, '1');
    const environment = await readUnitEnvironment(unit);
    expect([environment['AUTH'], environment['SECRET_KEY']]).toEqual(['keys', '']);
    const [, ...args] = findFirstValue(unit, 'ExecStart').split(' ').slice(1);
    const folder = await mkdtemp(join(tmpdir(), 'vitrine-test-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const { code, stderr } = await runVitrine(args, { ...environment, DATA_DIR: folder });
    expect(stderr).toContain('SECRET_KEY is not set.');
    expect(findFirstValue(unit, 'RestartPreventExitStatus')).toBe(String(code));
  });

  test.each(units)('allow the process enough time to stop, and restart it: %s', async (name) => {
    const unit = await readUnit(name);
    const { SHUTDOWN_SECONDS } = await readUnitEnvironment(unit);
    expect(Number(findFirstValue(unit, 'TimeoutStopSec'))).toBeGreaterThan(Number(SHUTDOWN_SECONDS) + 5);
    expect(findFirstValue(unit, 'KillMode')).toBe('mixed');
    expect(findFirstValue(unit, 'Restart')).toBe('always');
    expect(findFirstValue(unit, 'MemoryMax')).toMatch(/^\d+G$/);
    expect([findFirstValue(unit, 'StateDirectoryMode'), findFirstValue(unit, 'UMask')]).toEqual([
      '0700',
      '0077',
    ]);
    expect(findFirstValue(unit, 'DATA_DIR') || (await readUnitEnvironment(unit))['DATA_DIR']).toBe(
      `/var/lib/${findFirstValue(unit, 'StateDirectory')}`,
    );
  });

  test.runIf(hasSystemdAnalyze)("pass systemd's verification", async () => {
    const temporaryFolder = await mkdtemp(join(tmpdir(), 'vitrine-test-'));
    onTestFinished(() => rm(temporaryFolder, { recursive: true, force: true }));
    for (const name of units) {
      const text = await readFile(new URL(name, folder), 'utf8');
      // The path to Node differs between machines.
      await writeFile(join(temporaryFolder, name), text.replace('/usr/local/bin/node', process.execPath));
    }
    const { status, stderr } = spawnSync(
      'systemd-analyze',
      ['verify', '--man=no', ...units.map((name) => join(temporaryFolder, name))],
      { encoding: 'utf8' },
    );
    expect(stderr.split('\n').filter((line) => line.includes('vitrine'))).toEqual([]);
    expect(status).toBe(0);
  });
});
