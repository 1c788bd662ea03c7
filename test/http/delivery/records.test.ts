import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { call, expectProblem, type ImageRecord, upload } from '../../support/process/client.ts';
import { jpeg } from '../../support/process/pictures.ts';
import { startServer, useServer } from '../../support/process/server.ts';
import { expectDocumented } from '../support/documented.ts';
import { presets, presetSettings, sizeOf } from './support.ts';

const server = useServer(presetSettings);
let image: ImageRecord;
beforeAll(async () => {
  image = (await upload(server().url, await jpeg('recorded', 500, 400))).body;
});
const get = <Body>(path: string, init: RequestInit = {}) => call<Body>(server().url + path, init);
const sendFocus = (id: number | string, method: string, body?: unknown) =>
  get<Record<string, unknown>>(`/v1/images/${id}/focus`, {
    method,
    ...(body !== undefined && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  });

/** Splits a `srcset` into its addresses and widths. */
const parseSrcset = (srcset: string) =>
  srcset.split(', ').map((candidate) => {
    const [url = '', width = ''] = candidate.split(' ');
    return { url, width: Number(width.replace(/w$/, '')) };
  });

describe('an image record', () => {
  test('lists each rendition once, and all formats in `delivery`', () => {
    expect(Object.keys(image.delivery)).toEqual(Object.keys(presets));
    expect(image.renditions.map(({ preset }) => preset).toSorted()).toEqual(
      Object.keys(presets)
        .filter((name) => name !== 'modern')
        .toSorted(),
    );
    const formats = Object.fromEntries(image.renditions.map(({ preset, format }) => [preset, format]));
    expect(formats).toEqual({ thumb: 'jpeg', card: 'jpeg', square: 'jpeg', tile: 'webp', cutout: 'png' });
    expect(Object.keys(image.delivery['square']!.formats)).toEqual(['jpeg', 'webp', 'avif']);
    expect(image.delivery['modern']).toMatchObject({
      negotiated: `/i/${image.uuid}/modern`,
      width: 90,
      height: 72,
    });
  });

  test('has the real sizes, and lists each width once', async () => {
    const { square, card } = image.delivery;
    expect([square!.width, square!.height, card!.width, card!.height]).toEqual([200, 200, 400, 320]);
    expect(square!.srcset).toBe(
      `/i/${image.uuid}/square 200w, /i/${image.uuid}/square@2x 400w, /i/${image.uuid}/square@3x 500w`,
    );
    for (const { srcset, srcsets } of Object.values(image.delivery))
      for (const list of [srcset, ...Object.values(srcsets)])
        for (const { url, width } of parseSrcset(list))
          expect((await sizeOf((await get(url)).bytes))[0], url).toBe(width);
    const small = (await upload(server().url, await jpeg('small', 150, 150))).body;
    expect(parseSrcset(small.delivery['square']!.srcset)).toHaveLength(1);
  });

  test('knows the size of a trimmed picture once it has been made', async () => {
    const { url } = await startServer({
      PRESETS: '{"cut":{"width":300,"height":300,"trim":true,"eager":false,"formats":["jpeg"]}}',
    });
    const product = await sharp({ create: { width: 200, height: 100, channels: 3, background: '#07a' } })
      .extend({ top: 100, bottom: 100, left: 50, right: 50, background: '#fff' })
      .png()
      .toBuffer();
    const before = (await upload(url, product)).body;
    const { cut } = before.delivery;
    expect([cut!.width, cut!.height]).toEqual([null, null]);
    expect(cut!.srcset).toBe(`/i/${before.uuid}/cut`);
    const { bytes } = await call(`${url}${cut!.formats['jpeg']}`);
    const after = (await call<ImageRecord>(`${url}/v1/images/${before.id}`)).body.delivery['cut'];
    expect([after!.width, after!.height]).toEqual(await sizeOf(bytes));
    expect(after!.width).toBeLessThan(300);
    expect(after!.srcset).toBe(`/i/${before.uuid}/cut ${after!.width}w`);
  });

  test('has absolute URLs if PUBLIC_URL is set', async () => {
    const { url } = await startServer({
      ...presetSettings,
      AUTH: 'open',
      PUBLIC_URL: 'https://pictures.example.com',
    });
    const { body } = await upload(url, await jpeg('absolute', 300, 300));
    const { formats, negotiated, srcset, srcsets } = body.delivery['card']!;
    for (const text of [negotiated, srcset, ...Object.values(formats), ...Object.values(srcsets)])
      expect(text).toMatch(new RegExp(`^https://pictures\\.example\\.com/i/${body.uuid}/card`));
  });

  test('of a failed import has no addresses', async () => {
    const created = await get<ImageRecord>('/v1/images', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ url: 'https://nothing.invalid/a.jpg' }),
    });
    expect(created.body.delivery).toEqual({});
  });
});

describe('a focal point', () => {
  test('changes what presets with "cover" show, and their addresses only', async () => {
    const left = await sharp({ create: { width: 400, height: 200, channels: 3, background: '#d00' } })
      .extend({ right: 400, background: '#00d' })
      .jpeg()
      .toBuffer();
    const record = (await upload(server().url, left)).body;
    const isRed = async () => {
      const { bytes } = await get(`/i/${record.uuid}/tile.jpg`);
      const { channels } = await sharp(bytes).stats();
      return channels[0]!.mean > 150 && channels[2]!.mean < 60;
    };
    const old = record.delivery['tile']!.formats['webp']!;
    expect((await get(old)).status).toBe(200);
    expect(await isRed()).toBe(false);
    const put = await sendFocus(record.id, 'PUT', { x: 0.1, y: 0.123_46 });
    expect([put.status, put.body]).toEqual([200, { x: 0.1, y: 0.1235 }]);
    expect(await isRed()).toBe(true);
    const changed = (await get<ImageRecord>(`/v1/images/${record.uuid}`)).body;
    expect(changed.focus).toEqual({ x: 0.1, y: 0.1235 });
    expect(changed.delivery['tile']).not.toEqual(record.delivery['tile']);
    expect(changed.delivery['card']).toEqual(record.delivery['card']);
    // The old address still has its old content.
    expect((await get(old)).status).toBe(200);
    const removed = await sendFocus(record.id, 'DELETE');
    expect([removed.status, removed.bytes.length]).toEqual([204, 0]);
    expect((await get<ImageRecord>(`/v1/images/${record.id}`)).body).toMatchObject({
      focus: null,
      delivery: record.delivery,
    });
  });

  test.each([
    { x: 1.1, y: 0 },
    { x: -0.1, y: 0 },
    { x: 0.5 },
    { x: '0.5', y: 0.5 },
    { x: 0, y: 0, z: 0 },
    {},
  ])('outside the picture or incomplete is rejected: %j', async (point) => {
    expectProblem(await sendFocus(image.id, 'PUT', point), 400, 'invalid_request');
  });

  test('of an unknown image is an error', async () => {
    for (const response of [
      await sendFocus(999_999, 'PUT', { x: 0, y: 0 }),
      await sendFocus(999_999, 'DELETE'),
    ])
      expectProblem(response, 404, 'image_not_found');
  });
});

test('GET /v1/presets shows what is in force, in the spelling of PRESETS', async () => {
  const response = await get<{
    presets: Record<string, object>;
    keep_metadata: string[];
    variants: Record<string, string[]>;
    variants_per_image: number;
  }>('/v1/presets');
  expect(response.status).toBe(200);
  expectDocumented('GET', '/v1/presets', response);
  const { body } = response;
  expect(Object.keys(body.presets)).toEqual(Object.keys(presets));
  expect(body.presets['cutout']).toEqual({
    width: 120,
    height: 120,
    fit: 'pad',
    background: 'transparent',
    focus: 'center',
    trim: false,
    enlarge: false,
    formats: ['png', 'webp', 'avif'],
    quality: { png: expect.any(Number), webp: expect.any(Number), avif: expect.any(Number) },
    densities: [1],
    eager: 'first',
    animation: 'still',
  });
  expect(body.keep_metadata).toEqual(['copyright', 'credit', 'ai']);
  expect(body.variants['tile']).toEqual(['tile.webp', 'tile.jpg']);
  expect(body.variants['square']).toHaveLength(9);
  expect(body.variants_per_image).toBe(3 + 3 + 9 + 2 + 3 + 1);
  const reloaded = loadConfig({ PRESETS: JSON.stringify(body.presets) }).presets;
  const original = loadConfig(presetSettings).presets;
  for (const [index, preset] of original.entries()) {
    const { quality, ...options } = preset;
    const { quality: reloadedQuality, ...reloadedOptions } = reloaded[index]!;
    expect(reloadedOptions).toEqual(options);
    for (const format of preset.formats) expect(reloadedQuality[format]).toBe(quality[format]);
  }
});
