import { beforeAll, describe, expect, test } from 'vitest';
import { call, expectProblem, form, type ImageRecord } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { s3Environment } from '../support/process/s3.ts';
import { useServer } from '../support/process/server.ts';
import { services } from '../support/services.ts';
import { expectDocumented } from './support/documented.ts';

async function uploadNamed(base: string, bytes: Buffer): Promise<ImageRecord> {
  const body = form(['file', bytes, 'größe €.jpg']);
  return (await call<ImageRecord>(`${base}/v1/images`, { method: 'POST', body })).body;
}

describe.skipIf(!services.s3Endpoint)('redirects to pictures in a bucket', () => {
  const server = useServer(s3Environment({ S3_DELIVERY: 'redirect', S3_PRESIGN_SECONDS: '60' }));
  let image: ImageRecord;
  let bytes: Buffer;
  let paths: (readonly [template: string, path: string])[];

  beforeAll(async () => {
    bytes = await jpeg('redirected', 900, 700);
    image = await uploadNamed(server().url, bytes);
    paths = [
      ['/v1/images/{id}/original', `/v1/images/${image.id}/original`],
      ['/v1/images/{id}/renditions/{preset}', image.renditions[0]?.url ?? ''],
      ['/v1/images/{id}/thumbnail', `/v1/images/${image.uuid}/thumbnail`],
      ['/retrieve/original/{asset_id}', `/retrieve/original/${image.id}`],
      ['/retrieve/rendition/{asset_id}/{preset}', `/retrieve/rendition/${image.id}/card`],
    ];
  });

  const sendRequest = (path: string, method: string) =>
    call(server().url + path, { method, redirect: 'manual' });

  test.each(['GET', 'HEAD'])(
    'are sent for %s at every path, with a short-lived bucket URL',
    async (method) => {
      for (const [template, path] of paths) {
        // Each path is requested twice, because the server must not cache redirects.
        for (const response of [await sendRequest(path, method), await sendRequest(path, method)]) {
          expect(response.status, path).toBe(302);
          expect(response.headers.get('cache-control'), path).toBe('private, max-age=30');
          expect(response.headers.get('etag'), path).toBeNull();
          const location = new URL(response.headers.get('location') ?? '');
          expect(location.origin).toBe(services.s3Endpoint);
          expect(location.searchParams.get('X-Amz-Expires')).toBe('60');
          if (method === 'GET') expectDocumented(method, template, response);
          const object = await call(location.href, { method });
          expect(object.status, path).toBe(200);
          // The S3 server in these tests ignores these parameters.
          expect(location.searchParams.get('response-content-type'), path).toBe('image/jpeg');
          expect(location.searchParams.get('response-cache-control'), path).toBe('private, max-age=30');
        }
      }
    },
  );

  test('lead to the same bytes and the original file name', async () => {
    const original = await call(`${server().url}/v1/images/${image.id}/original`);
    expect(original.bytes.equals(bytes)).toBe(true);
    const path = `/v1/images/${image.id}/original`;
    const { searchParams } = new URL((await sendRequest(path, 'GET')).headers.get('location') ?? '');
    expect(searchParams.get('response-content-disposition')).toContain(
      "filename*=UTF-8''gr%C3%B6%C3%9Fe%20%E2%82%AC.jpg",
    );
    for (const { url, size_bytes: size } of image.renditions)
      expect((await call(server().url + url)).bytes.length).toBe(size);
  });

  test('are not sent for missing images', async () => {
    for (const path of ['/v1/images/999/original', '/v1/images/999/thumbnail'])
      expectProblem(await sendRequest(path, 'GET'), 404, 'image_not_found');
    const deletedImage = await uploadNamed(server().url, await jpeg('to be deleted'));
    await call(`${server().url}/v1/images/${deletedImage.id}`, { method: 'DELETE' });
    expectProblem(
      await sendRequest(`/v1/images/${deletedImage.id}/thumbnail`, 'GET'),
      404,
      'image_not_found',
    );
  });
});

describe.skipIf(!services.s3Endpoint)('pictures in a bucket that the server proxies', () => {
  const server = useServer(s3Environment());

  test('are sent in full or as ranges, with ETags', async () => {
    const bytes = await jpeg('proxied', 900, 700);
    const image = await uploadNamed(server().url, bytes);
    expect(image.status).toBe('completed');
    const original = `${server().url}/v1/images/${image.id}/original`;
    expect((await call(original)).bytes.equals(bytes)).toBe(true);
    const rangeResponse = await call(original, { headers: { range: 'bytes=100-199' } });
    expect([rangeResponse.status, rangeResponse.bytes.equals(bytes.subarray(100, 200))]).toEqual([206, true]);
    const thumbnail = await call(`${server().url}/v1/images/${image.id}/thumbnail`);
    expect([thumbnail.status, thumbnail.headers.get('etag')]).toEqual([200, expect.stringMatching(/^"/)]);
  });

  test('are removed by a purge', async () => {
    const image = await uploadNamed(server().url, await jpeg('purged'));
    await call(`${server().url}/v1/images/${image.id}`, { method: 'DELETE' });
    const { status, body } = await call(`${server().url}/v1/purge/deleted`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ dry_run: false, days: 0 }),
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ deleted_count: 1, deleted_files: 4 });
    expect((await call(`${server().url}/v1/healthz`)).status).toBe(200);
  });
});

describe.skipIf(!services.s3Endpoint)('redirects of signed links', () => {
  const key = 'operator-key-of-the-redirect-test-0123456789';
  const server = useServer(
    s3Environment({
      S3_DELIVERY: 'redirect',
      S3_PRESIGN_SECONDS: '600',
      AUTH: 'keys',
      SECRET_KEY: 'secret of the redirect test 0123456789',
      BOOTSTRAP_ADMIN_KEY: key,
    }),
  );
  const headers = { authorization: `Bearer ${key}` };

  test('lead to bucket URLs that expire with the link, and are cached only privately', async () => {
    const body = form(['file', await jpeg('linked', 900, 700)]);
    const image = (await call<ImageRecord>(`${server().url}/v1/images`, { method: 'POST', body, headers }))
      .body;
    for (const preset of ['card', 'original']) {
      const link = await call<{ url: string }>(`${server().url}/v1/images/${image.id}/links`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify({ preset, expires_in: 20 }),
      });
      const response = await call(server().url + link.body.url, { redirect: 'manual' });
      expect(response.status).toBe(302);
      const location = new URL(response.headers.get('location') ?? '');
      expect(Number(location.searchParams.get('X-Amz-Expires'))).toBeLessThanOrEqual(20);
      expect(response.headers.get('cache-control')).toMatch(/^private, max-age=\d$|^private, max-age=10$/);
      expect((await call(location.href)).status).toBe(200);
    }
    const withKey = await call(`${server().url}/v1/images/${image.id}/original`, {
      headers,
      redirect: 'manual',
    });
    expect(new URL(withKey.headers.get('location') ?? '').searchParams.get('X-Amz-Expires')).toBe('600');
  });
});
