import { beforeAll, describe, expect, test } from 'vitest';
import { call, expectProblem, type ImageRecord, upload } from '../../support/process/client.ts';
import { jpeg } from '../../support/process/pictures.ts';
import { startServer, useServer } from '../../support/process/server.ts';
import { expectDocumented } from '../support/documented.ts';
import { keySettings } from '../support/keys.ts';
import { formatOf, headerOf, presetSettings, sizeOf } from './support.ts';

const unknownUuid = '00000000-0000-7000-8000-000000000000';

describe('without placeholders', () => {
  const server = useServer(presetSettings);
  let image: ImageRecord;
  beforeAll(async () => {
    image = (await upload(server().url, await jpeg('errors', 300, 200))).body;
  });
  const get = (path: string, init: RequestInit = {}) => call(server().url + path, init);

  test('a missing picture says why, and caches forget it after a minute', async () => {
    for (const [path, code, detail] of [
      [`/i/${image.uuid}/tile.avif`, 'unknown_variant', /webp/],
      [`/i/${image.uuid}/cutout.jpg`, 'unknown_variant', /png/],
      [`/i/${image.uuid}/square@4x.jpg`, 'unknown_variant', /1, 2 and 3|1, 2, 3/],
      [`/i/${image.uuid}/nothing.jpg`, 'unknown_variant', /thumb, card, square/],
      [`/i/${image.uuid}/nothing`, 'unknown_variant', /thumb, card, square/],
      [`/i/${image.uuid}/card.gif`, 'unknown_variant', /jpg, webp, avif or png/],
      [`/i/${image.uuid}/card.jpg/`, 'unknown_variant', /card\.jpg\//],
      [`/i/${image.uuid}/card/`, 'unknown_variant', /card\//],
      [`/i/${image.uuid}/card.0123456789`, 'unknown_variant', /\{preset\}/],
      [`/i/${image.id}/card.jpg`, 'image_not_found', /UUID/],
      ['/i/nonsense/card.jpg', 'image_not_found', /UUID/],
      [`/i/${unknownUuid}/card.jpg`, 'image_not_found', /There is no image/],
      [`/i/${unknownUuid}/card`, 'image_not_found', /There is no image/],
    ] as const) {
      const response = await get(path);
      expect(expectProblem(response, 404, code), path).toMatch(detail);
      expect(headerOf(response, 'cache-control'), path).toBe('public, max-age=60');
      expect(headerOf(response, 'vary'), path).toBe(path.includes('.') ? '' : 'Accept');
      expectDocumented('GET', '/i/{uuid}/{file}', response);
      const head = await get(path, { method: 'HEAD' });
      expect([head.status, head.bytes.length], path).toEqual([404, 0]);
    }
  });

  test('a deleted image is gone at once, also from memory', async () => {
    const doomed = (await upload(server().url, await jpeg('doomed', 300, 200))).body;
    const paths = ['card.jpg', 'card', 'tile.webp'].map((file) => `/i/${doomed.uuid}/${file}`);
    paths.push(doomed.delivery['card']?.formats['webp'] ?? '');
    for (const path of paths) expect((await get(path)).status, path).toBe(200);
    await get(`/v1/images/${doomed.id}`, { method: 'DELETE' });
    for (const path of paths) {
      const response = await get(path);
      expectProblem(response, 404, 'image_not_found');
      expect(headerOf(response, 'cache-control')).toBe('public, max-age=60');
    }
    await get(`/v1/images/${doomed.id}/restore`, { method: 'POST' });
    for (const path of paths) expect((await get(path)).status, path).toBe(200);
  });

  test('other methods and other paths are not allowed', async () => {
    const response = await get(`/i/${image.uuid}/card.jpg`, { method: 'POST' });
    expectProblem(response, 405, 'method_not_allowed');
    for (const path of ['/i', `/i/${image.uuid}`, `/i/${image.uuid}/card/x.jpg`])
      expectProblem(await get(path), 404, 'route_not_found');
  });
});

describe('with placeholders', () => {
  const server = useServer({ ...presetSettings, PLACEHOLDER: 'grey' });

  test('an error is sent as a grey picture in the proportions of the preset, with its own status', async () => {
    for (const [file, size] of [
      ['card.jpg', [120, 120]],
      ['tile.webp', [120, 80]],
      ['tile', [120, 80]],
      ['nothing.jpg', [1, 1]],
    ] as const) {
      const path = `${server().url}/i/${unknownUuid}/${file}`;
      const response = await call(path);
      expect(response.status, file).toBe(404);
      expect(headerOf(response, 'vitrine-placeholder')).toBe('true');
      expect(headerOf(response, 'vitrine-error')).toBe('image_not_found');
      expect(headerOf(response, 'content-type')).toBe('image/png');
      expect(headerOf(response, 'cache-control')).toBe('public, max-age=60');
      expect(headerOf(response, 'cross-origin-resource-policy')).toBe('cross-origin');
      expect(formatOf(response.bytes)).toBe('png');
      expect(await sizeOf(response.bytes), file).toEqual(size);
      const head = await call(path, { method: 'HEAD' });
      expect([head.status, head.bytes.length]).toEqual([404, 0]);
    }
  });

  test('a picture that exists is not affected, and neither is the rest of the API', async () => {
    const image = (await upload(server().url, await jpeg('not grey', 300, 200))).body;
    const response = await call(`${server().url}/i/${image.uuid}/card.jpg`);
    expect([response.status, headerOf(response, 'vitrine-placeholder')]).toEqual([200, '']);
    expectProblem(await call(`${server().url}/v1/images/${unknownUuid}`), 404, 'image_not_found');
  });
});

test('an error that depends on the caller is not cached', async () => {
  const { url } = await startServer({ ...keySettings, ...presetSettings });
  const response = await call(`${url}/i/${unknownUuid}/card.jpg`);
  expectProblem(response, 401, 'unauthenticated');
  expect(headerOf(response, 'cache-control')).toMatch(/no-store/);
});
