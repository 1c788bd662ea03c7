import { expect, test } from 'vitest';
import { call, form, type ImageRecord, upload, uploadQueued } from '../support/process/client.ts';
import { drawing, jpeg, sha256 } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';

const server = useServer();

test('returns the renditions of an upload and serves them at their URLs', async () => {
  const bytes = await jpeg('first', 900, 600);
  const { status, body } = await upload(server().url, bytes, 'shop');
  expect(status).toBe(201);
  expect(body).toMatchObject({
    tenant: 'shop',
    status: 'completed',
    content_hash: sha256(bytes),
    original_width: 900,
    original_height: 600,
    original_filename: 'photo.jpg',
  });
  expect(body.renditions.map(({ preset }) => preset).toSorted()).toEqual(['card', 'thumb', 'zoom']);
  for (const { url, size_bytes } of body.renditions)
    expect((await call(server().url + url)).bytes).toHaveLength(size_bytes);
});

test.each(['before', 'after'])('accepts fields %s the file', async (side) => {
  const tenant = `fields-${side}`;
  const field = ['tenant', tenant] as [string, string];
  const file = ['file', await jpeg(side)] as [string, Buffer];
  const body = side === 'before' ? form(field, file) : form(file, field);
  const response = await call<ImageRecord>(`${server().url}/v1/images`, { method: 'POST', body });
  expect([response.status, response.body.tenant]).toEqual([201, tenant]);
});

test('detects the format from the content instead of the file name', async () => {
  const png = await drawing('png').png().toBuffer();
  const { status, body } = await upload(server().url, png);
  expect([status, body.metadata.format]).toEqual([201, 'png']);
  const original = await call(`${server().url}/v1/images/${body.id}/original`);
  expect(original.headers.get('content-type')).toBe('image/png');
});

test('accepts every documented format', async () => {
  const uploads = await Promise.all([
    drawing('a').webp().toBuffer(),
    drawing('b').gif().toBuffer(),
    drawing('c').tiff().toBuffer(),
    drawing('d').avif({ effort: 0 }).toBuffer(),
  ]);
  const responses = await Promise.all(uploads.map((bytes) => upload(server().url, bytes, 'formats')));
  expect(responses.map(({ body }) => body.metadata.format)).toEqual(['webp', 'gif', 'tiff', 'avif']);
});

test('assigns an upload without a tenant to the tenant "default"', async () => {
  const body = form(['file', await jpeg('no tenant')]);
  const response = await call<ImageRecord>(`${server().url}/v1/images`, { method: 'POST', body });
  expect(response.body.tenant).toBe('default');
});

test('returns the existing image for content that is already stored, in /v1 and in the older catalog API', async () => {
  const bytes = await jpeg('known');
  const firstUpload = await upload(server().url, bytes);
  const repeatedUpload = await upload(server().url, bytes);
  expect([repeatedUpload.status, repeatedUpload.body.id]).toEqual([200, firstUpload.body.id]);
  const asset = (await uploadQueued(server().url, bytes)).body;
  expect(asset).toMatchObject({ asset_id: firstUpload.body.id, status: 'exists' });
  expect(asset).not.toHaveProperty('job_id');
});

test('creates one image for a hundred concurrent uploads of the same bytes, and returns 201 once', async () => {
  const bytes = await jpeg('hundred', 800, 600);
  const uploads = Array.from({ length: 100 }, () => upload(server().url, bytes, 'concurrent'));
  const responses = await Promise.all(uploads);
  expect(new Set(responses.map(({ body }) => body.id)).size).toBe(1);
  expect(responses.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(responses.filter(({ status }) => status === 200)).toHaveLength(99);
  expect(responses.every(({ body }) => body.renditions.length === 3)).toBe(true);
  expect((await call(`${server().url}/metrics/tenant/concurrent`)).body).toMatchObject({ asset_count: 1 });
});

test('creates one image per tenant for the same bytes', async () => {
  const bytes = await jpeg('shared');
  const [leftUpload, rightUpload] = await Promise.all(
    ['left', 'right'].map((name) => upload(server().url, bytes, name)),
  );
  expect([leftUpload?.status, rightUpload?.status]).toEqual([201, 201]);
  expect(leftUpload?.body.id).not.toBe(rightUpload?.body.id);
  await call(`${server().url}/v1/images/${leftUpload?.body.id}`, { method: 'DELETE' });
  const original = await call(`${server().url}/v1/images/${rightUpload?.body.id}/original`);
  expect(sha256(original.bytes)).toBe(sha256(bytes));
});

test('ignores a trailing slash', async () => {
  const makeForm = async (seed: string) => form(['file', await jpeg(seed)]);
  for (const path of ['/v1/images/', '/upload', '/upload/']) {
    const response = await call(server().url + path, { method: 'POST', body: await makeForm(path) });
    expect(response.status, path).toBeLessThan(300);
  }
  for (const path of ['/v1/images/', '/v1/healthz/', '/healthz/', '/metrics', '/metrics/', '/v1/metrics/'])
    expect((await call(server().url + path)).status, path).toBe(200);
});
