import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { call, expectProblem, upload } from '../../support/process/client.ts';
import { jpeg } from '../../support/process/pictures.ts';
import { useServer } from '../../support/process/server.ts';
import { formatOf, presetSettings } from './support.ts';

const server = useServer(presetSettings);

/** Returns the number of files that the server has made, by preset and format. */
async function readRenderings(): Promise<Record<string, number>> {
  const { bytes } = await call(`${server().url}/metrics`, { headers: { accept: 'text/plain' } });
  const matches = bytes
    .toString()
    .matchAll(/^vitrine_renditions_rendered_total\{preset="(.*)",format="(.*)"\} (\d+)$/gm);
  return Object.fromEntries(
    Array.from(matches, ([, preset, format, count]) => [`${preset}.${format}`, Number(count)]),
  );
}

async function countRenderings(): Promise<number> {
  return Object.values(await readRenderings()).reduce((sum, count) => sum + count, 0);
}

test('a hundred requests for a rendition that does not exist make it once', async () => {
  const { uuid } = (await upload(server().url, await jpeg('asked by many', 500, 400))).body;
  const before = await countRenderings();
  const responses = await Promise.all(
    Array.from({ length: 100 }, () => call(`${server().url}/i/${uuid}/modern.webp`)),
  );
  for (const { status, bytes } of responses) {
    expect(status).toBe(200);
    expect(bytes.equals(responses[0]?.bytes ?? Buffer.alloc(0))).toBe(true);
  }
  expect(formatOf(responses[0]?.bytes ?? Buffer.alloc(0))).toBe('webp');
  expect(await countRenderings()).toBe(before + 1);
});

test('files are counted by preset and format, both at the intake and on request', async () => {
  const before = await readRenderings();
  const { uuid } = (await upload(server().url, await jpeg('counted', 500, 400))).body;
  const atIntake = await readRenderings();
  const increases = (from: Record<string, number>, to: Record<string, number>) =>
    Object.fromEntries(
      Object.entries(to)
        .map(([name, count]) => [name, count - (from[name] ?? 0)] as const)
        .filter(([, count]) => count !== 0),
    );
  expect(increases(before, atIntake)).toEqual({
    'thumb.jpeg': 1,
    'card.jpeg': 1,
    'square.jpeg': 1,
    'tile.webp': 1,
    'cutout.png': 1,
  });
  for (const file of [
    'card.jpg',
    'card.webp',
    'card.webp',
    'square@2x.webp',
    'square@3x.webp',
    'modern.webp',
  ])
    expect((await call(`${server().url}/i/${uuid}/${file}`)).status, file).toBe(200);
  expect(increases(atIntake, await readRenderings())).toEqual({
    'card.webp': 1,
    'square.webp': 2,
    'modern.webp': 1,
  });
});

test('the answer to the request that makes a file equals the stored file, and all later answers', async () => {
  const { uuid } = (await upload(server().url, await jpeg('compared', 500, 400))).body;
  for (const name of ['modern.webp', 'card.avif', 'tile.jpg']) {
    const stored = await listStored();
    const { status, bytes } = await call(`${server().url}/i/${uuid}/${name}`);
    expect(status, name).toBe(200);
    const made = (await listStored()).filter((path) => !stored.includes(path));
    expect(made).toHaveLength(1);
    expect(bytes.equals(await readFile(join(server().dataDir, made[0] ?? '')))).toBe(true);
    expect((await call(`${server().url}/i/${uuid}/${name}`)).bytes.equals(bytes)).toBe(true);
  }
});

/** Lists the rendition files in the data folder. */
async function listStored(): Promise<string[]> {
  const paths = await readdir(server().dataDir, { recursive: true });
  return paths.filter((path) => /renditions\/.*\.\w+$/.test(path));
}

test('a client that disconnects does not stop the rendition for the others, and causes no error', async () => {
  const { uuid } = (await upload(server().url, await jpeg('impatient', 500, 400))).body;
  const url = `${server().url}/i/${uuid}/card.avif`;
  const controller = new AbortController();
  const impatient = fetch(url, { signal: controller.signal }).catch((error: unknown) => error);
  const patient = call(url);
  setTimeout(() => controller.abort(), 20);
  expect(await impatient).toBeInstanceOf(Error);
  expect((await patient).status).toBe(200);
  expect(server().log()).not.toMatch(/"level":"?(?:error|50)/);
});

test('an image that failed says why', async () => {
  const complete = await jpeg('broken', 500, 400);
  const broken = complete.subarray(0, complete.length / 2);
  const response = await upload(server().url, broken, 'default', '?mode=queued');
  // The header of the file is valid, so it is accepted and fails later.
  if (response.status !== 202) return;
  const { uuid } = response.body;
  await expect
    .poll(async () => (await call(`${server().url}/v1/images/${uuid}`)).body['status'])
    .toBe('failed');
  const failed = await call(`${server().url}/i/${uuid}/card.jpg`);
  expect(expectProblem(failed, 404, 'rendition_not_ready')).toMatch(/truncated/);
  expect(failed.headers.get('cache-control')).toBe('public, max-age=10');
});
