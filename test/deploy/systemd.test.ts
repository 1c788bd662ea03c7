import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { call, finishedImage, upload, uploadQueued } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { services } from '../support/services.ts';
import { databaseTarget, useDatabase } from './support/backing-services.ts';
import { canRunContainers, startContainer, untilHealthy } from './support/container.ts';

const folder = new URL('../../deploy/systemd/', import.meta.url);
const units = ['vitrine-api.service', 'vitrine-worker@.service'] as const;
const canRun = services.databaseUrl && canRunContainers();
const hasAnalyze = spawnSync('systemd-analyze', ['--version']).error === undefined;
if (!hasAnalyze) process.stdout.write('SKIPPED: the check of systemd units. It needs systemd-analyze.\n');

type Unit = ReadonlyMap<string, readonly string[]>;

/** Settings of a unit for the instance `instance`. */
async function readUnit(name: (typeof units)[number], instance = ''): Promise<Unit> {
  const text = (await readFile(new URL(name, folder), 'utf8')).replaceAll('%i', instance);
  const found = new Map<string, string[]>();
  for (const [, key = '', value = ''] of text.matchAll(/^(\w+)=(.*)$/gm))
    found.set(key, [...(found.get(key) ?? []), value]);
  return found;
}

const one = (unit: Unit, key: string) => unit.get(key)?.[0] ?? '';

/** The environment from systemd: that of the file, with that of the unit as defaults. */
async function environmentOf(unit: Unit): Promise<Record<string, string>> {
  expect(one(unit, 'EnvironmentFile')).toBe('/etc/vitrine/vitrine.env');
  const example = parseEnv(await readFile(new URL('vitrine.env.example', folder), 'utf8'));
  const own = parseEnv((unit.get('Environment') ?? []).join('\n'));
  return { ...own, ...example } as Record<string, string>;
}

async function startUnit(unit: Unit, shared: string) {
  const environment = await environmentOf(unit);
  const port = Number(
    one(unit, 'ExecStart').includes('worker') ? environment['WORKER_PORT'] : environment['PORT'],
  );
  const container = await startContainer({
    command: one(unit, 'ExecStart').split(' '),
    environment,
    folder: one(unit, 'WorkingDirectory'),
    writable: `/var/lib/${one(unit, 'StateDirectory')}`,
    shared,
    reached: [{ name: 'localhost', port: 5432, target: databaseTarget() }],
    ports: [port],
  });
  return { container, url: container.url(port), port };
}

describe.runIf(canRun)('the units', () => {
  test('every start command runs with exactly its environment, over one folder of pictures', {
    tags: 'slow',
  }, async () => {
    const shared = await mkdtemp(join(tmpdir(), 'vitrine-test-'));
    onTestFinished(() => rm(shared, { recursive: true, force: true }));
    const api = await readUnit('vitrine-api.service');
    const address = new URL((await environmentOf(api))['DATABASE_URL'] ?? '');
    const { username: user, password, pathname } = address;
    await useDatabase({ user, password, database: pathname.slice(1) }, 'owner');

    const all = [
      api,
      await readUnit('vitrine-worker@.service', '1'),
      await readUnit('vitrine-worker@.service', '2'),
    ];
    const [server, ...workers] = await Promise.all(all.map((unit) => startUnit(unit, shared)));
    if (!server) throw new Error('There is no API.');
    for (const { container, port } of [server, ...workers]) await untilHealthy(container, port);
    expect(workers.map(({ port }) => port)).toEqual([8101, 8102]);

    const inline = await upload(server.url, await jpeg('systemd inline'));
    expect(inline.status).toBe(201);
    const queued = await uploadQueued(server.url, await jpeg('systemd queued'));
    const done = await finishedImage(server.url, queued.body.asset_id);
    expect(done.status).toBe('completed');
    expect((await call(`${server.url}${done.renditions[0]?.url}`)).status).toBe(200);
    // The log arrives asynchronously through a pipe.
    await expect
      .poll(() => workers.some(({ container }) => container.log().includes('completed in')))
      .toBe(true);
    const codes = await Promise.all([server, ...workers].map(({ container }) => container.stop()));
    expect(server.container.log()).not.toContain('cannot be searched');
    expect(codes, server.container.log()).toEqual([0, 0, 0]);
  });
});

describe('the units as files', () => {
  test.each(units)('%s gives its process enough time to stop, and restarts it', async (name) => {
    const unit = await readUnit(name);
    const { SHUTDOWN_SECONDS } = await environmentOf(unit);
    expect(Number(one(unit, 'TimeoutStopSec'))).toBeGreaterThan(Number(SHUTDOWN_SECONDS) + 5);
    expect(one(unit, 'KillMode')).toBe('mixed');
    expect(one(unit, 'Restart')).toBe('always');
    expect(one(unit, 'MemoryMax')).toMatch(/^\d+G$/);
    expect([one(unit, 'StateDirectoryMode'), one(unit, 'UMask')]).toEqual(['0700', '0077']);
    expect(one(unit, 'DATA_DIR') || (await environmentOf(unit))['DATA_DIR']).toBe(
      `/var/lib/${one(unit, 'StateDirectory')}`,
    );
  });

  test.runIf(hasAnalyze)("pass systemd's verification", async () => {
    const place = await mkdtemp(join(tmpdir(), 'vitrine-test-'));
    onTestFinished(() => rm(place, { recursive: true, force: true }));
    for (const name of units) {
      const text = await readFile(new URL(name, folder), 'utf8');
      // Only the path of Node differs between machines.
      await writeFile(join(place, name), text.replace('/usr/local/bin/node', process.execPath));
    }
    const { status, stderr } = spawnSync(
      'systemd-analyze',
      ['verify', '--man=no', ...units.map((name) => join(place, name))],
      { encoding: 'utf8' },
    );
    expect(stderr.split('\n').filter((line) => line.includes('vitrine'))).toEqual([]);
    expect(status).toBe(0);
  });
});
