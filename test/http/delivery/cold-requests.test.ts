import { expect, test } from 'vitest';
import { call, expectProblem, upload } from '../../support/process/client.ts';
import { jpeg } from '../../support/process/pictures.ts';
import { useServer } from '../../support/process/server.ts';
import { formatOf, presetSettings } from './support.ts';

const server = useServer(presetSettings);

async function countRenderings(): Promise<number> {
  const { bytes } = await call(`${server().url}/metrics`, { headers: { accept: 'text/plain' } });
  const lines = bytes
    .toString()
    .split('\n')
    .filter((line) => line.startsWith('vitrine_renditions_rendered_total'));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
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
