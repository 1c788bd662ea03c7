import { beforeAll, expect, test } from 'vitest';
import { call, type ImageRecord, upload } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';

/** `card` is too large for the cache, so both cached and streamed responses are covered. */
const server = useServer({
  READ_CACHE_MB: '1',
  PRESETS: '{"thumb":100,"card":{"width":1600,"height":1600,"quality":100}}',
});
let image: ImageRecord;
const paths: string[] = [];

beforeAll(async () => {
  image = (await upload(server().url, await jpeg('cached', 1600, 1600))).body;
  expect(image.renditions.find(({ preset }) => preset === 'card')?.size_bytes).toBeGreaterThan(2 ** 17);
  for (const { url } of image.renditions) paths.push(url, url.split('?')[0] ?? '');
  paths.push(`/v1/images/${image.uuid}/thumbnail`, `/v1/images/${image.id}/original`);
});

const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  call(server().url + path, { headers, method });

test('sends a strong ETag, a content type, a length and nosniff with every picture', async () => {
  for (const path of paths) {
    // The first response comes from storage, and the second may come from the cache.
    for (const { status, headers, bytes } of [await get(path), await get(path)]) {
      expect(status, path).toBe(200);
      expect(headers.get('etag'), path).toMatch(/^"[0-9a-f]{32}"$/);
      expect(headers.get('content-type'), path).toBe('image/jpeg');
      expect(headers.get('content-length'), path).toBe(String(bytes.length));
      expect(headers.get('x-content-type-options'), path).toBe('nosniff');
      expect(headers.get('content-security-policy'), path).toMatch(/default-src 'none'/);
    }
  }
});

test('treats a URL with two version parameters as a URL without a version', async () => {
  for (const { url } of image.renditions) {
    const { status, headers } = await get(`${url}&v=x`);
    expect([status, headers.get('cache-control')], url).toEqual([200, 'public, no-cache']);
  }
});

test('returns 304 for a matching If-None-Match in every valid form', async () => {
  for (const path of paths) {
    const etag = (await get(path)).headers.get('etag') ?? '';
    for (const header of [etag, `W/${etag}`, `"other", ${etag}`, `"a",W/"b" , W/${etag}`, '*', ' * ']) {
      const { status, headers, bytes } = await get(path, { 'if-none-match': header });
      expect([status, bytes.length, headers.get('etag')], `${path} ${header}`).toEqual([304, 0, etag]);
      expect(headers.get('cache-control'), `${path} ${header}`).toMatch(/^public/);
      expect(headers.get('content-length'), `${path} ${header}`).toBeNull();
    }
  }
});

test('sends the picture if If-None-Match does not match or is malformed', async () => {
  const original = `/v1/images/${image.id}/original`;
  const etag = (await get(original)).headers.get('etag') ?? '';
  for (const header of ['"other"', '', ',', etag.replaceAll('"', ''), `${etag.slice(0, -1)}0"`, 'W/"*"']) {
    for (const path of [original, `/v1/images/${image.id}/thumbnail`])
      expect((await get(path, { 'if-none-match': header })).status, header).toBe(200);
  }
});

test('marks only URLs with the current version as immutable', async () => {
  for (const path of paths) {
    const expectedCacheControl = path.includes('?v=')
      ? 'public, max-age=31536000, immutable'
      : 'public, no-cache';
    expect((await get(path)).headers.get('cache-control'), path).toBe(expectedCacheControl);
  }
  const [firstPath = ''] = paths;
  for (const query of ['?v=', '?v=other', '?v=a&v=b', `?v=${'x'.repeat(300)}`, '?w=1'])
    expect((await get(firstPath.split('?')[0] + query)).headers.get('cache-control'), query).toBe(
      'public, no-cache',
    );
});

test('responds to HEAD with the same headers as to GET, but without a body', async () => {
  for (const path of paths) {
    const [getResponse, headResponse] = [await get(path), await get(path, {}, 'HEAD')];
    expect([headResponse.status, headResponse.bytes.length], path).toEqual([200, 0]);
    for (const name of ['etag', 'content-length', 'content-type', 'cache-control'])
      expect(headResponse.headers.get(name), `${path} ${name}`).toBe(getResponse.headers.get(name));
  }
});

test('sends the same ETag for identical renditions, and different ETags for different renditions', async () => {
  const otherImage = (await upload(server().url, await jpeg('other', 1600, 1600))).body;
  const sameImage = (await upload(server().url, await jpeg('cached', 1600, 1600), 'twin')).body;
  const [etag, sameEtag, otherEtag] = await Promise.all(
    [image, sameImage, otherImage].map(async ({ id }) =>
      (await get(`/v1/images/${id}/thumbnail`)).headers.get('etag'),
    ),
  );
  expect(sameEtag).toBe(etag);
  expect(otherEtag).not.toBe(etag);
});
