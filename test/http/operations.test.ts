import { expect, test } from 'vitest';
import {
  call,
  expectProblem,
  waitForFinishedImage,
  upload,
  uploadQueued,
} from '../support/process/client.ts';
import { truncatedJpeg, jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';

/** Tests operations of `/v1` and of the older catalog API that Vitrine also serves. */

const server = useServer();

test('counts images by tenant, preset and status', async () => {
  const { url } = server();
  const images = [
    (await upload(url, await jpeg('a'), 'left')).body,
    (await upload(url, await jpeg('b'), 'left')).body,
    (await upload(url, await jpeg('c'), 'right')).body,
  ];
  const { asset_id } = (await uploadQueued(url, await truncatedJpeg('x'), 'right')).body;
  await waitForFinishedImage(url, asset_id);
  const { body } = await call(`${url}/v1/metrics`);
  expect(body).toMatchObject({
    tenant_counts: { left: 2, right: 2 },
    status_counts: { completed: 3, failed: 1 },
  });
  const thumbSizes = images.map(
    ({ renditions }) => renditions.find(({ preset }) => preset === 'thumb')?.size_bytes ?? 0,
  );
  expect(body['bytes_per_preset']).toMatchObject({
    thumb: thumbSizes.reduce((sum, bytes) => sum + bytes, 0),
  });
});

test('reports the usage of one tenant and of all tenants in the older catalog API', async () => {
  const { url } = server();
  const leftUsage = { tenant_name: 'left', asset_count: 2, rendition_count: 6 };
  const { body } = await call(`${url}/metrics/tenant/left`);
  expect(body).toMatchObject(leftUsage);
  expect(body['total_bytes']).toBe(Number(body['asset_bytes']) + Number(body['rendition_bytes']));
  expect((await call<{ tenants: unknown[] }>(`${url}/metrics`)).body.tenants).toContainEqual(
    expect.objectContaining(leftUsage),
  );
  for (const name of ['unknown', 'LEFT', 'a%20b', '%00'])
    expectProblem(await call(`${url}/metrics/tenant/${name}`), 404, 'tenant_not_found');
});

test('reports a healthy server at both health endpoints', async () => {
  expect((await call(`${server().url}/healthz`)).body).toEqual({ status: 'healthy' });
  const { body } = await call(`${server().url}/v1/healthz`);
  expect(body).toMatchObject({
    status: 'healthy',
    checks: { database: { ok: true }, storage: { ok: true } },
  });
});

test('describes an asset in the format of the older catalog API', async () => {
  const image = (await upload(server().url, await jpeg('described'))).body;
  const { body } = await call(`${server().url}/retrieve/asset/${image.id}`);
  expect(body).toMatchObject({
    asset_id: image.id,
    filename: 'photo.jpg',
    width: 320,
    height: 240,
    color_space: 'RGB',
  });
  const { asset_id } = (await uploadQueued(server().url, await truncatedJpeg('x'), 'broken')).body;
  await waitForFinishedImage(server().url, asset_id);
  expect((await call(`${server().url}/retrieve/asset/${asset_id}`)).body).toMatchObject({ renditions: [] });
});
