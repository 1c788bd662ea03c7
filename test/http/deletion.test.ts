import { expect, test } from 'vitest';
import {
  call,
  expectProblem,
  waitForFinishedImage,
  upload,
  uploadQueued,
} from '../support/process/client.ts';
import { jpeg, sha256 } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';

const server = useServer();

/** Returns every path that serves the image. */
function listImagePaths(id: number, uuid: string): string[] {
  const v1Paths = [id, uuid].flatMap((ref) =>
    ['', '/original', '/thumbnail', '/renditions/card'].map((tail) => `/v1/images/${ref}${tail}`),
  );
  return [...v1Paths, `/retrieve/asset/${id}`, `/retrieve/original/${id}`, `/retrieve/rendition/${id}/zoom`];
}

test('returns 404 at every path of a deleted image that was cached', async () => {
  const { url } = server();
  const { id, uuid } = (await upload(url, await jpeg('deleted'), 'deleted')).body;
  // Each path is requested twice, so that the second response comes from the cache.
  for (const path of [...listImagePaths(id, uuid), ...listImagePaths(id, uuid)])
    expect((await call(url + path)).status, path).toBe(200);
  const deletion = await call(`${url}/v1/images/${uuid}`, { method: 'DELETE' });
  expect([deletion.status, deletion.bytes.length]).toEqual([204, 0]);
  for (const path of listImagePaths(id, uuid)) {
    expectProblem(await call(url + path), 404, 'image_not_found');
    expectProblem(await call(url + path, { headers: { 'if-none-match': '*' } }), 404, 'image_not_found');
  }
  expectProblem(await call(`${url}/v1/images/${id}`, { method: 'DELETE' }), 404, 'image_not_found');
  expect((await call(`${url}/v1/images?tenant=deleted`)).body).toMatchObject({ total: 0 });
  expect((await call(`${url}/v1/metrics`)).body['tenant_counts']).toMatchObject({ deleted: 0 });
});

test('creates a new image when the bytes of a deleted image are uploaded again', async () => {
  const { url } = server();
  const bytes = await jpeg('uploaded twice');
  const firstImage = (await upload(url, bytes)).body;
  await call(`${url}/v1/images/${firstImage.id}`, { method: 'DELETE' });
  const secondUpload = await upload(url, bytes);
  expect(secondUpload.status).toBe(201);
  expect(secondUpload.body.id).not.toBe(firstImage.id);
  expect(secondUpload.body.uuid).not.toBe(firstImage.uuid);
  expect(secondUpload.body.renditions).toHaveLength(3);
  expect(sha256((await call(`${url}/v1/images/${secondUpload.body.id}/original`)).bytes)).toBe(sha256(bytes));
  expectProblem(await call(`${url}/v1/images/${firstImage.id}`), 404, 'image_not_found');
});

test('does not restore a deleted image when its pending or running job ends', async () => {
  const { url } = server();
  const pictures = await Promise.all(Array.from({ length: 12 }, (_, i) => jpeg(`queued ${i}`, 1500, 1000)));
  const assets = await Promise.all(pictures.map((bytes) => uploadQueued(url, bytes, 'queue')));
  const ids = assets.map(({ body }) => body.asset_id);
  const deletedIds = ids.filter((_, i) => i % 2 === 0);
  const deletions = await Promise.all(
    deletedIds.map((id) => call(`${url}/v1/images/${id}`, { method: 'DELETE' })),
  );
  expect(deletions.every(({ status }) => status === 204)).toBe(true);
  const remainingImages = await Promise.all(
    ids.filter((id) => !deletedIds.includes(id)).map((id) => waitForFinishedImage(url, id)),
  );
  expect(
    remainingImages.every(({ status, renditions }) => status === 'completed' && renditions.length === 3),
  ).toBe(true);
  for (const id of deletedIds) expect((await call(`${url}/v1/images/${id}`)).status).toBe(404);
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

test('leaves at most one image, with all its files, after concurrent deletions and uploads of the same bytes', async () => {
  const { url } = server();
  const bytes = await jpeg('contended');
  for (let round = 0; round < 5; round += 1) {
    const { id } = (await upload(url, bytes, 'contended')).body;
    const [, secondUpload] = await Promise.all([
      call(`${url}/v1/images/${id}`, { method: 'DELETE' }),
      upload(url, bytes, 'contended'),
    ]);
    expect(secondUpload.status).toBeLessThan(500);
    const { items } = (await call<{ items: { id: number }[] }>(`${url}/v1/images?tenant=contended`)).body;
    expect(items.length).toBeLessThanOrEqual(1);
    for (const image of items) {
      const original = await call(`${url}/v1/images/${image.id}/original`);
      expect(sha256(original.bytes)).toBe(sha256(bytes));
      expect((await waitForFinishedImage(url, image.id)).renditions).toHaveLength(3);
    }
  }
});
