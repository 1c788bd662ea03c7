import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { call, waitForFinishedImage, upload, uploadQueued } from '../support/process/client.ts';
import { makeDataFolder, removeFolder } from '../support/process/data-folder.ts';
import { jpeg } from '../support/process/pictures.ts';
import { canRunContainers, createKeyInside, startContainer, waitUntilHealthy } from './support/container.ts';
import { readDockerfile } from './support/dockerfile.ts';
import { installProductionPackages } from './support/installation.ts';

const dockerfile = await readDockerfile();
const readRootFile = (name: string) => readFile(new URL(`../../${name}`, import.meta.url), 'utf8');

/** Starts a container with only the image's settings. The command runs as process 1. */
function startImage(command = dockerfile.command, sharedFolder = '') {
  const { environment, workingFolder, volume: writableFolder } = dockerfile;
  return startContainer({
    command,
    environment,
    workingFolder,
    writableFolder,
    sharedFolder,
    isPid1: true,
    hostMappings: [],
    ports: [8000, 8001],
  });
}

/** A program that kills the decoder children, and prints how many were killed and how many zombie processes remain. */
const killChildrenProgram = `
  const { readdirSync, readFileSync } = require('node:fs');
  const list = () => readdirSync('/proc').filter(Number).map((pid) => {
    try { return [Number(pid), readFileSync('/proc/' + pid + '/cmdline', 'utf8'), readFileSync('/proc/' + pid + '/stat', 'utf8')]; }
    catch { return [0, '', '']; }
  });
  const children = list().filter(([pid, words]) => pid !== process.pid && words.includes('pool/child.ts'));
  for (const [pid] of children) process.kill(pid, 'SIGKILL');
  setTimeout(() => {
    const zombies = list().filter(([, , stat]) => / Z /.test(stat));
    console.log(JSON.stringify({ killed: children.length, zombies: zombies.length }));
  }, 500);`;

describe.runIf(canRunContainers())('the image', () => {
  test('runs as process 1, reaps killed children, and exits with code 0', { tags: 'scenario' }, async () => {
    const container = await startImage();
    await waitUntilHealthy(container, 8000);
    expect((await container.run(...dockerfile.healthcheck)).status).toBe(0);
    const base = container.url(8000);
    expect((await call(`${base}/v1/images`)).status).toBe(401);
    const key = await createKeyInside(container, '--role', 'admin');
    expect((await upload(base, await jpeg('docker inline'), 'shop', '', key)).status).toBe(201);
    const { stdout } = await container.run('node', '-e', killChildrenProgram);
    const { killed, zombies } = JSON.parse(stdout) as { killed: number; zombies: number };
    expect(killed).toBeGreaterThan(0);
    expect(zombies).toBe(0);
    const queuedUpload = await uploadQueued(base, await jpeg('docker queued'), 'shop', key);
    expect((await waitForFinishedImage(base, queuedUpload.body.asset_id, key)).status).toBe('completed');
    expect(await container.stop(), container.log()).toBe(0);
    expect(container.log()).toContain('"msg":"stopped"');
  });

  test('runs as a worker with the same health check', async () => {
    const data = await makeDataFolder();
    onTestFinished(() => removeFolder(data));
    const worker = await startImage(['node', 'src/main.ts', 'worker'], data);
    await waitUntilHealthy(worker, 8001);
    expect((await worker.run(...dockerfile.healthcheck)).status).toBe(0);
    expect(await worker.stop(), worker.log()).toBe(0);
  });

  test('contains no development packages', async () => {
    const modules = join(await installProductionPackages(), 'node_modules');
    const { devDependencies } = JSON.parse(await readRootFile('package.json')) as {
      devDependencies: Record<string, string>;
    };
    for (const name of ['node', 'typescript', 'vitest'])
      expect(devDependencies[name] && existsSync(join(modules, name)), name).toBe(false);
  });
});

describe('Dockerfile', () => {
  test('pins the tested Node version in every stage', async () => {
    const { devDependencies } = JSON.parse(await readRootFile('package.json')) as {
      devDependencies: Record<string, string>;
    };
    expect(dockerfile.baseImages).toHaveLength(2);
    for (const name of dockerfile.baseImages)
      expect(name).toMatch(`node:${devDependencies['node']}-bookworm-slim`);
  });

  test('does not run as root, requires keys, keeps its data in a volume, and copies only files that .dockerignore allows', async () => {
    expect(dockerfile.user).toBe('node');
    expect(dockerfile.environment['DATA_DIR']).toBe(dockerfile.volume);
    expect(dockerfile.environment['AUTH']).toBe('keys');
    const allowedFiles = (await readRootFile('.dockerignore')).match(/(?<=^!).+/gm) ?? [];
    const copiedFiles = dockerfile.copies.flatMap(({ sources }) =>
      sources.map((source) => source.replace(/^\.\//, '')),
    );
    expect(allowedFiles.toSorted()).toEqual([...copiedFiles, 'package-lock.json'].toSorted());
  });
});
