import { beforeEach, expect, test } from 'vitest';
import { call, expectProblem, type ImageRecord, upload } from '../support/process/client.ts';
import { drawing, jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';

/** Verdicts and groups through the API, with pairs that the search finds in real pictures. */

const server = useServer();

interface Pair {
  readonly id: number;
  readonly tier: string;
  readonly verdict: string | null;
}
interface Group {
  readonly id: number;
  readonly tier: string;
  readonly image_count: number;
  readonly images: readonly (Omit<Pair, 'tier' | 'verdict'> & { match: Omit<Pair, 'id'> | null })[];
  readonly keeper: { readonly id: number; readonly reason: string };
}

let tenant = 'shop 0';
let large: ImageRecord;
let small: ImageRecord;
let other: ImageRecord;

async function send<Body = Record<string, unknown>>(method: string, path: string, body?: unknown) {
  return call<Body>(`${server().url}/v1/${path}`, {
    method,
    ...(body !== undefined && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  });
}
const judge = (a: ImageRecord, b: ImageRecord, verdict: string) =>
  send('PUT', `images/${a.id}/duplicates/${b.uuid}`, { verdict });
const listNear = async ({ id }: ImageRecord) =>
  (await send<{ near_duplicates: Pair[] }>('GET', `images/${id}`)).body.near_duplicates;
const listDuplicates = async ({ id }: ImageRecord) =>
  (await send<{ duplicates: Pair[] }>('GET', `images/${id}/duplicates`)).body.duplicates;
const listGroups = async (query = '') =>
  (await send<{ items: Group[] }>('GET', `duplicates?tenant=${tenant}${query}`)).body.items;
const search = async (file: Buffer) => {
  const body = new FormData();
  body.append('file', new Blob([new Uint8Array(file)]), 'search.jpg');
  body.append('tenant', tenant);
  const response = await call<{ near_duplicates: Pair[] }>(`${server().url}/v1/search`, {
    method: 'POST',
    body,
  });
  return response.body.near_duplicates;
};

let smallFile: Buffer;
let count = 0;

beforeEach(async () => {
  count += 1;
  tenant = `shop-${count}`;
  const seed = `picture ${count}`;
  smallFile = await drawing(seed).resize(200, 150).jpeg({ quality: 95 }).toBuffer();
  small = (await upload(server().url, smallFile, tenant)).body;
  large = (await upload(server().url, await jpeg(seed), tenant)).body;
  other = (await upload(server().url, await jpeg(`other ${count}`), tenant)).body;
});

test('lists a group with the image that is best to keep', async () => {
  expect(await listGroups()).toMatchObject([
    {
      tenant,
      image_count: 2,
      images: [
        { id: small.id, match: null },
        { id: large.id, match: { verdict: null } },
      ],
      keeper: { id: large.id, reason: 'the most pixels (320 × 240)' },
    },
  ]);
  expect(await listGroups('&tier=possible')).toEqual([]);
});

test('hides a pair that is judged different everywhere, also from searches with its file', async () => {
  expect(await search(smallFile)).toMatchObject([{ kind: 'exact' }, { id: large.id, verdict: null }]);
  expect(await judge(large, small, 'different')).toMatchObject({
    status: 200,
    body: {
      image: { id: large.id },
      other: { id: small.id },
      verdict: 'different',
      decided_by: 'open',
    },
  });
  expect([await listNear(large), await listNear(small), await listDuplicates(small)]).toEqual([[], [], []]);
  expect(await listGroups()).toEqual([]);
  expect(await search(smallFile)).toMatchObject([{ kind: 'exact' }]);
  expect((await send('DELETE', `images/${small.id}/duplicates/${large.id}`)).status).toBe(204);
  expect(await listNear(small)).toMatchObject([{ id: large.id, verdict: null }]);
  expect(await listGroups()).toHaveLength(1);
});

test('does not report a pair that is judged different when its file is uploaded again', async () => {
  await judge(large, small, 'different');
  await send('DELETE', `images/${small.id}`);
  const again = (await upload(server().url, smallFile, tenant)).body as ImageRecord & {
    near_duplicates: Pair[];
    renditions_reused_from: number | null;
  };
  expect(again.id).not.toBe(small.id);
  expect(again).toMatchObject({ near_duplicates: [], renditions_reused_from: null });
  expect(await listNear(large)).toEqual([]);
});

test('shows variants only among all pairs, and a pair that a person has named among the duplicates', async () => {
  await judge(large, small, 'variant');
  await judge(large, other, 'same');
  expect(await listNear(large)).toMatchObject([{ id: other.id, tier: 'edited', verdict: 'same' }]);
  expect(await listDuplicates(large)).toMatchObject([
    { id: small.id, tier: 'variant', verdict: 'variant' },
    { id: other.id, tier: 'edited', verdict: 'same', distance: null, difference: null },
  ]);
  const [variants] = await listGroups('&tier=variant');
  expect(variants).toMatchObject({ images: [{ id: small.id }, { id: large.id }], keeper: null });
  const resolution = await send('POST', `duplicates/${variants?.id}/resolve`, {
    keep: large.id,
    discard: [small.id],
  });
  expectProblem(resolution, 409, 'group_of_variants');
  expect(await listGroups('&tier=edited')).toMatchObject([{ images: [{ id: large.id }, { id: other.id }] }]);
  expect(await search(smallFile)).toMatchObject([{ kind: 'exact' }]);
});

test('explains why a pair cannot be judged', async () => {
  const foreign = (await upload(server().url, await jpeg('foreign'), 'rival')).body;
  const problem = async (a: { id: number }, b: { id: number }, status: number, code: string) =>
    expectProblem(await send('PUT', `images/${a.id}/duplicates/${b.id}`, { verdict: 'same' }), status, code);
  expect(await problem(large, large, 400, 'invalid_request')).toMatch(/cannot be compared with itself/);
  expect(await problem(large, foreign, 400, 'invalid_request')).toMatch(/belong to different tenants/);
  expect(await problem(large, { id: 99_999 }, 404, 'image_not_found')).toMatch(/99999/);
  const path = `images/${large.id}/duplicates/${small.id}`;
  for (const body of [undefined, {}, { verdict: 'alike' }, { verdict: 'same', note: 'x' }])
    expectProblem(await send('PUT', path, body), 400, 'invalid_request');
  expectProblem(await send('DELETE', `images/${large.id}/duplicates/x`), 400, 'invalid_request');
});

test('resolves a group by ids or UUIDs, and answers a repeated request alike', async () => {
  await send('PUT', `images/${small.id}/references/page`);
  const [group] = await listGroups();
  const path = `duplicates/${group?.id}/resolve`;
  const first = await send('POST', path, { keep: large.uuid, discard: [small.id] });
  expect(first).toMatchObject({
    status: 200,
    body: {
      group: group?.id,
      kept: { id: large.id, in_use_count: 1 },
      discarded: [{ id: small.id, references_moved: 1, outcome: 'deleted' }],
    },
  });
  expect((await send('GET', `images/${small.id}`)).status).toBe(404);
  const second = await send('POST', path, { keep: large.id, discard: [small.uuid] });
  expect(second).toMatchObject({ status: 200, body: { discarded: [{ outcome: 'already_deleted' }] } });
  const restored = await send('POST', `images/${small.id}/restore`);
  expect(restored.body).toMatchObject({ in_use_count: 1 });
  expect(await listGroups()).toHaveLength(1);
});

test('explains why a group cannot be resolved', async () => {
  const [group] = await listGroups();
  const refuse = async (body: unknown, status: number, code: string, id = group?.id) =>
    expectProblem(await send('POST', `duplicates/${id}/resolve`, body), status, code);
  const [keep, discard] = [large.id, [small.id]];
  expect(await refuse({ keep, discard: [other.id] }, 409, 'not_in_group')).toContain(
    `Image ${other.id} is not`,
  );
  expect(await refuse({ keep: other.uuid, discard }, 409, 'not_in_group')).toContain(other.uuid);
  expect(await refuse({ keep, discard: [small.id, large.id] }, 400, 'invalid_request')).toMatch(/kept and/);
  expect(await refuse({ keep, discard }, 404, 'group_not_found', 99_999)).toMatch(/no group 99999/);
  for (const body of [{}, { keep }, { keep, discard: [] }, { keep: -1, discard }, { keep, discard: 'x' }])
    await refuse(body, 400, 'invalid_request');
  await refuse({ keep, discard: Array.from({ length: 101 }, (_, id) => id) }, 400, 'invalid_request');
  expect((await send('GET', `images/${small.id}`)).status).toBe(200);
});

test('pages through the groups', async () => {
  const pages = [];
  for (let path = 'duplicates?limit=2', isLast = false; !isLast; ) {
    const { body } = await send<{ items: Group[]; next_cursor: string | null }>('GET', path);
    pages.push(...body.items.map(({ id }) => id));
    path = `duplicates?limit=2&cursor=${body.next_cursor}`;
    isLast = body.next_cursor === null;
  }
  expect(pages).toEqual(pages.toSorted((a, b) => b - a));
  expect(new Set(pages).size).toBe(pages.length);
  expect(pages.length).toBeGreaterThan(2);
  for (const query of ['tier=different', 'cursor=x', 'limit=0', 'limit=101', 'offset=1'])
    expectProblem(await send('GET', `duplicates?${query}`), 400, 'invalid_request');
});
