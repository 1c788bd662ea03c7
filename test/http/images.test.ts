import { beforeAll, expect, test } from 'vitest';
import { call, expectProblem, type ImageRecord, upload } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';

const server = useServer();
const images: ImageRecord[] = [];

interface List {
  readonly items: readonly ImageRecord[];
  readonly total: number;
}
const listImages = (query: string) => call<List>(`${server().url}/v1/images?${query}`);

beforeAll(async () => {
  for (const seed of ['a', 'b', 'c', 'd', 'e'])
    images.push((await upload(server().url, await jpeg(seed), seed < 'd' ? 'left' : 'right')).body);
});

test('finds an image by its id, and by its UUID in upper or lower case', async () => {
  const [image] = images;
  for (const ref of [image?.id, image?.uuid, image?.uuid.toUpperCase()])
    expect((await call(`${server().url}/v1/images/${ref}`)).body, String(ref)).toEqual(image);
  for (const path of ['original', 'thumbnail', 'renditions/card']) {
    const [byId, byUuid] = await Promise.all(
      [image?.id, image?.uuid].map((ref) => call(`${server().url}/v1/images/${ref}/${path}`)),
    );
    expect([byId?.status, byUuid?.status], path).toEqual([200, 200]);
    expect(byUuid?.bytes.equals(byId?.bytes ?? Buffer.of()), path).toBe(true);
  }
});

test('returns 400 for an invalid id at every image path', async () => {
  const tails = ['', '/original', '/thumbnail', '/renditions/thumb'];
  for (const ref of ['abc', '1.5', '-1', '0x1', "1'--", '%00', '9'.repeat(40)]) {
    for (const tail of tails) {
      const response = await call(`${server().url}/v1/images/${ref}${tail}`);
      expectProblem(response, 400, 'invalid_request');
    }
    expectProblem(await call(`${server().url}/retrieve/asset/${ref}`), 400, 'invalid_request');
  }
});

test('returns 404 for an unknown image', async () => {
  const unknownRefs = ['999999', '0', '999999999999999', '00000000-0000-7000-8000-000000000000'];
  for (const ref of unknownRefs) {
    for (const path of [
      `/v1/images/${ref}`,
      `/v1/images/${ref}/renditions/thumb`,
      `/retrieve/original/${ref}`,
    ])
      expectProblem(await call(server().url + path), 404, 'image_not_found');
  }
  expectProblem(await call(`${server().url}/v1/images/999999`, { method: 'DELETE' }), 404, 'image_not_found');
});

test('returns 400 for an unknown preset and lists the presets', async () => {
  for (const path of [
    `/v1/images/${images[0]?.id}/renditions/poster`,
    `/retrieve/rendition/${images[0]?.id}/poster`,
  ])
    expect(expectProblem(await call(server().url + path), 400, 'unknown_preset')).toMatch(
      /thumb, card, zoom/,
    );
});

test('filters the list by tenant, status and time', async () => {
  expect((await listImages('tenant=left')).body.total).toBe(3);
  expect((await listImages('tenant=unknown')).body).toMatchObject({ total: 0, items: [] });
  expect((await listImages('tenant=right&status=completed')).body.total).toBe(2);
  expect((await listImages('status=failed')).body.total).toBe(0);
  expect((await listImages('created_after=2020-01-01T00:00:00Z')).body.total).toBe(5);
  expect((await listImages('created_after=2999-01-01T00:00:00%2B02:00')).body.total).toBe(0);
  expect((await listImages('created_before=2020-01-01T00:00:00Z')).body.total).toBe(0);
});

test('lists each image on exactly one page', async () => {
  const pages = await Promise.all([0, 2, 4, 6].map((offset) => listImages(`limit=2&offset=${offset}`)));
  expect(pages.map(({ body }) => body.items.length)).toEqual([2, 2, 1, 0]);
  expect(pages.every(({ body }) => body.total === 5)).toBe(true);
  const ids = pages.flatMap(({ body }) => body.items.map(({ id }) => id));
  expect(new Set(ids)).toEqual(new Set(images.map(({ id }) => id)));
});

test.each([
  'limit=0',
  'limit=101',
  'limit=x',
  'offset=-1',
  'status=done',
  'created_after=yesterday',
  'limit=1&limit=2',
])('rejects the list parameter %s and reports its name', async (query) => {
  const detail = expectProblem(await call(`${server().url}/v1/images?${query}`), 400, 'invalid_request');
  expect(detail).toContain(query.split('=')[0]);
});
