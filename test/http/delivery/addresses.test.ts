import { beforeAll, describe, expect, test } from 'vitest';
import { call, expectProblem, type ImageRecord, upload } from '../../support/process/client.ts';
import { jpeg } from '../../support/process/pictures.ts';
import { s3Environment } from '../../support/process/s3.ts';
import { useServer } from '../../support/process/server.ts';
import { services } from '../../support/services.ts';
import { expectDocumented } from '../support/documented.ts';
import { cacheControls, formatOf, headerOf, presetSettings, sizeOf } from './support.ts';

interface Storage {
  readonly name: string;
  readonly settings: Record<string, string>;
}

// The second server does not cache renditions, so that they are sent as streams. The third redirects older addresses.
const storages: Storage[] = [
  { name: 'with a cache', settings: {} },
  { name: 'without a cache', settings: { READ_CACHE_MB: '0' } },
];
if (services.s3Endpoint)
  storages.push({
    name: 'with a bucket that serves older addresses',
    settings: s3Environment({ S3_DELIVERY: 'redirect' }),
  });

describe.each(storages)('$name', ({ settings }) => {
  const server = useServer({ ...presetSettings, ...settings });
  let image: ImageRecord;
  beforeAll(async () => {
    image = (await upload(server().url, await jpeg('delivered', 500, 400))).body;
  });
  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    call(server().url + path, { headers, method, redirect: 'manual' });
  const addressOf = (file: string) => `/i/${image.uuid}/${file}`;

  test('an address with an extension serves this format, without a redirect', async () => {
    for (const [file, format, size] of [
      ['square.jpg', 'jpeg', [200, 200]],
      ['square.jpeg', 'jpeg', [200, 200]],
      ['square.webp', 'webp', [200, 200]],
      ['square.avif', 'avif', [200, 200]],
      ['square@1x.webp', 'webp', [200, 200]],
      ['square@2x.webp', 'webp', [400, 400]],
      ['square@3x.jpg', 'jpeg', [500, 500]],
      ['card.jpg', 'jpeg', [400, 320]],
      ['tile.webp', 'webp', [150, 100]],
      ['cutout.png', 'png', [120, 120]],
    ] as const) {
      // The second response comes from memory, if there is a cache.
      for (const response of [await get(addressOf(file)), await get(addressOf(file))]) {
        expect(response.status, file).toBe(200);
        expect(headerOf(response, 'content-type'), file).toBe(`image/${format}`);
        expect(formatOf(response.bytes), file).toBe(format);
        expect(await sizeOf(response.bytes), file).toEqual(size);
        expect(headerOf(response, 'cache-control'), file).toBe(cacheControls.current);
        expectDocumented('GET', '/i/{uuid}/{file}', response);
      }
    }
  });

  test('every response can be shown and read by pages of all origins, and runs no scripts', async () => {
    const paths = [addressOf('card.jpg'), addressOf('card'), addressOf('card.gif'), '/i/nonsense/card.jpg'];
    for (const path of paths)
      for (const method of ['GET', 'HEAD'])
        for (let round = 0; round < 2; round += 1) {
          const response = await get(path, { origin: 'https://shop.example' }, method);
          for (const [name, value] of [
            ['access-control-allow-origin', '*'],
            ['cross-origin-resource-policy', 'cross-origin'],
            ['x-content-type-options', 'nosniff'],
          ] as const)
            expect(headerOf(response, name), `${method} ${path} ${name}`).toBe(value);
          expect(headerOf(response, 'content-security-policy'), path).toContain("default-src 'none'");
          expect(headerOf(response, 'vary'), path).not.toMatch(/origin/i);
        }
  });

  test('HEAD has the headers of GET, and a matching ETag gets 304', async () => {
    for (const file of ['card.webp', 'card', 'square@2x.jpg']) {
      const headers = { accept: 'image/webp' };
      const response = await get(addressOf(file), headers);
      const head = await get(addressOf(file), headers, 'HEAD');
      expect([head.status, head.bytes.length], file).toEqual([200, 0]);
      for (const name of ['etag', 'content-length', 'content-type', 'cache-control', 'vary'])
        expect(headerOf(head, name), `${file} ${name}`).toBe(headerOf(response, name));
      expect(headerOf(response, 'etag')).toMatch(/^"[0-9a-f]{32}"$/);
      expect(headerOf(response, 'content-length')).toBe(String(response.bytes.length));
      const etag = headerOf(response, 'etag');
      const unchanged = await get(addressOf(file), { ...headers, 'if-none-match': etag });
      expect([unchanged.status, unchanged.bytes.length], file).toEqual([304, 0]);
      for (const name of ['etag', 'cache-control', 'vary'])
        expect(headerOf(unchanged, name), `${file} ${name}`).toBe(headerOf(response, name));
      expect((await get(addressOf(file), { ...headers, 'if-none-match': '"other"' })).status).toBe(200);
    }
  });

  test('only an address with a recipe may be kept for ever', async () => {
    for (const [preset, { formats }] of Object.entries(image.delivery))
      for (const [format, path] of Object.entries(formats)) {
        expect(path).toMatch(
          new RegExp(`^/i/${image.uuid}/${preset}\\.[0-9a-f]{10}\\.${format === 'jpeg' ? 'jpg' : format}$`),
        );
        const response = await get(path);
        expect([response.status, formatOf(response.bytes)], path).toEqual([200, format]);
        expect(headerOf(response, 'cache-control'), path).toBe(cacheControls.immutable);
        const current = await get(path.replace(/\.[0-9a-f]{10}\./, '.'));
        expect(current.bytes.equals(response.bytes), path).toBe(true);
        const wrong = await get(path.replace(/\.[0-9a-f]{10}\./, '.0123456789.'));
        expectProblem(wrong, 404, 'unknown_variant');
        expect(headerOf(wrong, 'cache-control')).toBe('public, max-age=60');
      }
  });

  test('queries make no difference', async () => {
    const response = await get(`${addressOf('card.jpg')}?v=1&width=9000`);
    expect(response.status).toBe(200);
    expect(await sizeOf(response.bytes)).toEqual([400, 320]);
  });
});
