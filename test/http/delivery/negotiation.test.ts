import { beforeAll, expect, test } from 'vitest';
import { call, type ImageRecord, upload } from '../../support/process/client.ts';
import { jpeg } from '../../support/process/pictures.ts';
import { useServer } from '../../support/process/server.ts';
import { cacheControls, chrome, formatOf, headerOf, presetSettings, sizeOf, waitFor } from './support.ts';

const server = useServer(presetSettings);
let image: ImageRecord;
beforeAll(async () => {
  image = (await upload(server().url, await jpeg('negotiated', 500, 400))).body;
});

const get = (file: string, accept: string, headers: Record<string, string> = {}, { uuid } = image) =>
  call(`${server().url}/i/${uuid}/${file}`, { headers: { ...headers, accept } });

test('sends the best format that the client accepts', async () => {
  for (const [file, accept, format] of [
    ['square', 'image/webp,*/*;q=0.8', 'webp'],
    ['square', 'image/jpeg,image/png', 'jpeg'],
    ['square', '*/*', 'jpeg'],
    ['square', 'image/avif;q=0,image/webp;q=0,*/*', 'jpeg'],
    ['square', 'image/jpeg,image/webp;q=0.5', 'jpeg'],
    ['tile', '*/*', 'jpeg'],
    ['tile', 'image/avif,image/webp', 'webp'],
    ['cutout', '*/*', 'png'],
    ['cutout', 'image/webp', 'webp'],
    ['modern', '*/*', 'webp'],
    ['square@2x', 'image/webp', 'webp'],
  ] as const) {
    // The second response comes from memory.
    for (const response of [await get(file, accept), await get(file, accept)]) {
      expect([response.status, formatOf(response.bytes)], `${file} ${accept}`).toEqual([200, format]);
      expect(headerOf(response, 'content-type')).toBe(`image/${format}`);
      expect(headerOf(response, 'vary'), `${file} ${accept}`).toBe('Accept');
      expect(headerOf(response, 'cache-control'), `${file} ${accept}`).toBe(cacheControls.current);
    }
  }
  expect(await sizeOf((await get('square@2x', '*/*')).bytes)).toEqual([400, 400]);
});

test('sends WebP at once and for a short time while AVIF is being made, and then AVIF', async () => {
  const fresh = (await upload(server().url, await jpeg('fresh', 500, 400))).body;
  const send = () => get('square', chrome, {}, fresh);
  const first = await send();
  expect([first.status, formatOf(first.bytes)]).toEqual([200, 'webp']);
  expect(headerOf(first, 'cache-control')).toBe(cacheControls.interim);
  expect(headerOf(first, 'vary')).toBe('Accept');
  const final = await waitFor(send, ({ bytes }) => formatOf(bytes) === 'avif');
  expect(headerOf(final, 'cache-control')).toBe(cacheControls.current);
  const explicit = await call(`${server().url}/i/${fresh.uuid}/square.avif`);
  expect(explicit.bytes.equals(final.bytes)).toBe(true);
});

test('an address with the extension .avif is served at once', async () => {
  const fresh = (await upload(server().url, await jpeg('explicit', 500, 400))).body;
  const response = await call(`${server().url}/i/${fresh.uuid}/card.avif`);
  expect([response.status, formatOf(response.bytes)]).toEqual([200, 'avif']);
  expect(headerOf(response, 'cache-control')).toBe(cacheControls.current);
});

test('each format has its own ETag', async () => {
  const [webp, legacy] = [await get('card', 'image/webp'), await get('card', '*/*')];
  expect(headerOf(webp, 'etag')).not.toBe(headerOf(legacy, 'etag'));
  const other = await get('card', '*/*', { 'if-none-match': headerOf(webp, 'etag') });
  expect(other.status).toBe(200);
});
