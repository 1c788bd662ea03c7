import { expect, test } from 'vitest';
import { call, expectProblem, finishedImage, upload, uploadQueued } from '../support/process/client.ts';
import { jpeg, sha256 } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';

const server = useServer();

function addressesOf(id: number, uuid: string): string[] {
  const own = [id, uuid].flatMap((name) =>
    ['', '/original', '/thumbnail', '/renditions/card'].map((tail) => `/v1/images/${name}${tail}`),
  );
  return [...own, `/retrieve/asset/${id}`, `/retrieve/original/${id}`, `/retrieve/rendition/${id}/zoom`];
}

test('responds 404 at every address of a deleted image, even if it was cached', async () => {
  const { url } = server();
  const { id, uuid } = (await upload(url, await jpeg('gone'), 'gone')).body;
  // Read twice, so that the cache is filled.
  for (const path of [...addressesOf(id, uuid), ...addressesOf(id, uuid)])
    expect((await call(url + path)).status, path).toBe(200);
  const deleted = await call(`${url}/v1/images/${uuid}`, { method: 'DELETE' });
  expect([deleted.status, deleted.bytes.length]).toEqual([204, 0]);
  for (const path of addressesOf(id, uuid)) {
    expectProblem(await call(url + path), 404, 'image_not_found');
    expectProblem(await call(url + path, { headers: { 'if-none-match': '*' } }), 404, 'image_not_found');
  }
  expectProblem(await call(`${url}/v1/images/${id}`, { method: 'DELETE' }), 404, 'image_not_found');
  expect((await call(`${url}/v1/images?tenant=gone`)).body).toMatchObject({ total: 0 });
  expect((await call(`${url}/v1/metrics`)).body['tenant_counts']).toMatchObject({ gone: 0 });
});

test('creates a new image with the same pictures from the bytes of a deleted one', async () => {
  const { url } = server();
  const bytes = await jpeg('back again');
  const first = (await upload(url, bytes)).body;
  await call(`${url}/v1/images/${first.id}`, { method: 'DELETE' });
  const second = await upload(url, bytes);
  expect(second.status).toBe(201);
  expect(second.body.id).not.toBe(first.id);
  expect(second.body.uuid).not.toBe(first.uuid);
  expect(second.body.renditions).toHaveLength(3);
  expect(sha256((await call(`${url}/v1/images/${second.body.id}/original`)).bytes)).toBe(sha256(bytes));
  expectProblem(await call(`${url}/v1/images/${first.id}`), 404, 'image_not_found');
});

test('keeps an image deleted that was deleted while its job was pending or running', async () => {
  const { url } = server();
  const pictures = await Promise.all(Array.from({ length: 12 }, (_, i) => jpeg(`queued ${i}`, 1500, 1000)));
  const assets = await Promise.all(pictures.map((bytes) => uploadQueued(url, bytes, 'queue')));
  const ids = assets.map(({ body }) => body.asset_id);
  const doomed = ids.filter((_, i) => i % 2 === 0);
  const deletions = await Promise.all(
    doomed.map((id) => call(`${url}/v1/images/${id}`, { method: 'DELETE' })),
  );
  expect(deletions.every(({ status }) => status === 204)).toBe(true);
  const remaining = await Promise.all(
    ids.filter((id) => !doomed.includes(id)).map((id) => finishedImage(url, id)),
  );
  expect(remaining.every(({ status, renditions }) => status === 'completed' && renditions.length === 3)).toBe(
    true,
  );
  for (const id of doomed) expect((await call(`${url}/v1/images/${id}`)).status).toBe(404);
  expect((await call(`${url}/v1/images?tenant=queue`)).body).toMatchObject({ total: 6 });
});

test('confirms exactly one of many concurrent deletions', async () => {
  const { url } = server();
  const { id } = (await upload(url, await jpeg('many deletions'))).body;
  const responses = await Promise.all(
    Array.from({ length: 10 }, () => call(`${url}/v1/images/${id}`, { method: 'DELETE' })),
  );
  expect(responses.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
    204,
    ...Array.from({ length: 9 }, () => 404),
  ]);
});

test('ends concurrent deletions and uploads of the same bytes with one complete image or none', async () => {
  const { url } = server();
  const bytes = await jpeg('to and fro');
  for (let round = 0; round < 5; round += 1) {
    const { id } = (await upload(url, bytes, 'fro')).body;
    const [, again] = await Promise.all([
      call(`${url}/v1/images/${id}`, { method: 'DELETE' }),
      upload(url, bytes, 'fro'),
    ]);
    expect(again.status).toBeLessThan(500);
    const { items } = (await call<{ items: { id: number }[] }>(`${url}/v1/images?tenant=fro`)).body;
    expect(items.length).toBeLessThanOrEqual(1);
    for (const image of items) {
      const original = await call(`${url}/v1/images/${image.id}/original`);
      expect(sha256(original.bytes)).toBe(sha256(bytes));
      expect((await finishedImage(url, image.id)).renditions).toHaveLength(3);
    }
  }
});
