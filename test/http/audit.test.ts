import { expect, test } from 'vitest';
import { call, expectProblem, form, type ImageRecord } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';

const bootstrapKey = 'the-bootstrap-key-of-this-test-server';
const server = useServer({
  AUTH: 'keys',
  BOOTSTRAP_ADMIN_KEY: bootstrapKey,
  IMPORT_ALLOWED_NETWORKS: '127.0.0.1/32',
});

interface Entry {
  readonly id: number;
  readonly at: string;
  readonly tenant: string | null;
  readonly actor: string;
  readonly key_id: string | null;
  readonly action: string;
  readonly target: string | null;
  readonly details: Record<string, unknown>;
  readonly position: number | null;
  readonly hash: string | null;
}

interface Key {
  readonly id: string;
  readonly key: string;
}

function send<Body>(method: string, path: string, key: string, body?: object | FormData) {
  const isForm = body instanceof FormData;
  return call<Body>(server().url + path, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body && !isForm ? { 'content-type': 'application/json' } : {}),
    },
    body: isForm ? body : body === undefined ? null : JSON.stringify(body),
  });
}

const createKey = async (request: object, creator = bootstrapKey) =>
  (await send<Key>('POST', '/v1/keys', creator, { name: 'test', ...request })).body;

const list = async (key: string, query = '') =>
  (await send<{ items: Entry[] }>('GET', `/v1/audit?limit=1000${query}`, key)).body.items;

const upload = async (key: string, name: string) =>
  (await send<ImageRecord>('POST', '/v1/images', key, form(['file', await jpeg(name)]))).body;

/** Sends a request that changes nothing when it is repeated. */
async function twice(sendOnce: () => Promise<unknown>): Promise<void> {
  await sendOnce();
  await sendOnce();
}

test('records each action once, with its actor and its target', async () => {
  const { key: admin, id: adminId } = await createKey({ name: 'ops', role: 'admin', tenant: 'recorded' });
  const image = await upload(admin, 'recorded');
  const second = await upload(admin, 'recorded second');
  await upload(admin, 'recorded');
  const imageUrl = `/v1/images/${image.id}`;
  await twice(() => send('PUT', `${imageUrl}/references/page%201`, admin));
  await twice(() => send('DELETE', `${imageUrl}/references/page%201`, admin));
  await send('DELETE', imageUrl, admin);
  await send('POST', `${imageUrl}/restore`, admin);
  const imported = await send<ImageRecord>('POST', '/v1/images', admin, {
    url: 'https://127.0.0.1.invalid/a.jpg?sig=x',
  });
  await send('DELETE', `/v1/images/${second.id}`, admin);
  await send('POST', '/v1/purge/deleted', admin, { dry_run: true, days: 0 });
  await send('POST', '/v1/purge/deleted', admin, { dry_run: false, days: 0 });
  const made = await createKey({ role: 'reader', tenant: 'recorded' }, admin);
  const rotated = await send<Key>('POST', `/v1/keys/${made.id}/rotate`, admin, { overlap: 0 });
  await twice(() => send('DELETE', `/v1/keys/${rotated.body.id}`, admin));
  const entries = (await list(admin)).toReversed();
  expect(entries.map(({ action, target }) => [action, target])).toEqual([
    ['key.create', adminId],
    ['image.create', image.uuid],
    ['image.create', second.uuid],
    ['reference.add', image.uuid],
    ['reference.remove', image.uuid],
    ['image.delete', image.uuid],
    ['image.restore', image.uuid],
    ['import.create', imported.body.uuid],
    ['image.delete', second.uuid],
    ['purge.run', null],
    ['image.purge', second.uuid],
    ['key.create', made.id],
    ['key.rotate', made.id],
    ['key.revoke', rotated.body.id],
  ]);
  expect(entries[0]).toMatchObject({ actor: 'BOOTSTRAP_ADMIN_KEY', key_id: null, tenant: 'recorded' });
  for (const entry of entries.slice(1))
    expect(entry).toMatchObject({ actor: `key ${adminId} (ops)`, key_id: adminId, tenant: 'recorded' });
  expect(entries[3]?.details).toEqual({ reference: 'page 1' });
  expect(entries[9]?.details).toEqual({ images: 'deleted', deleted_for_days: 0 });
});

test('records the retry of a job', async () => {
  const { key } = await createKey({ role: 'admin', tenant: 'retried' });
  const { body: image } = await send<ImageRecord>('POST', '/v1/images', key, { url: `${server().url}/none` });
  await expect
    .poll(async () => (await send<ImageRecord>('GET', `/v1/images/${image.id}`, key)).body.status)
    .toBe('failed');
  const retry = await send<object>('POST', '/v1/jobs/retry', key, { tenant: 'retried' });
  expect(retry.status).toBe(200);
  expect((await list(key, '&action=job.retry')).map(({ target }) => target)).toEqual([image.uuid]);
});

test('seals each entry within a second, and verifies the chains', async () => {
  await createKey({ role: 'reader' });
  const { key } = await createKey({ role: 'admin', tenant: 'sealed' });
  const { uuid } = await upload(key, 'sealed');
  const recordedAt = performance.now();
  await expect.poll(async () => (await list(key, `&target=${uuid}`))[0]?.position, { interval: 20 }).toBe(2);
  expect(performance.now() - recordedAt).toBeLessThan(2_000);
  const { body } = await send<{ chains: object[] }>('GET', '/v1/audit/verification', key);
  const [newest] = await list(key);
  expect(body).toEqual({
    intact: true,
    unsealed: { total: 0, entries: [] },
    chains: [
      {
        tenant: 'sealed',
        tenant_id: expect.any(Number),
        removed: 0,
        checked: 2,
        head: { position: 2, hash: newest?.hash },
        damage: null,
      },
    ],
  });
  const all = await send<{ chains: { tenant: string | null }[] }>(
    'GET',
    '/v1/audit/verification',
    bootstrapKey,
  );
  expect(all.body.chains.map(({ tenant }) => tenant)).toEqual(
    expect.arrayContaining([null, 'sealed', 'recorded']),
  );
});

test('shows a key only its own tenant', async () => {
  const { key } = await createKey({ role: 'admin', tenant: 'own' });
  const { key: editor } = await createKey({ role: 'editor', tenant: 'own' });
  const { key: rival } = await createKey({ role: 'admin', tenant: 'rival' });
  const image = await upload(editor, 'own');
  expect((await list(key)).every(({ tenant }) => tenant === 'own')).toBe(true);
  expect((await list(rival)).map(({ tenant }) => tenant)).toEqual(['rival']);
  expect(await list(rival, `&target=${image.uuid}`)).toEqual([]);
  expect((await list(bootstrapKey, '&tenant=own')).map(({ action }) => action)).toEqual([
    'image.create',
    'key.create',
    'key.create',
  ]);
  for (const path of ['/v1/audit', '/v1/audit/export', '/v1/audit/verification']) {
    expectProblem(await send('GET', path, editor), 403, 'missing_scope');
    expectProblem(await send('GET', `${path}?tenant=own`, rival), 403, 'tenant_not_allowed');
    expect((await send('HEAD', `${path}?tenant=own`, rival)).status).toBe(403);
    expect((await send('HEAD', path, rival)).status).toBe(200);
  }
  for (const path of ['/v1/audit', '/v1/audit/export', '/v1/audit/verification'])
    expectProblem(await send('GET', `${path}?tenant=nobody`, bootstrapKey), 404, 'tenant_not_found');
  const { bytes, headers } = await send('GET', '/v1/audit/export', rival);
  expect(headers.get('content-type')).toBe('application/x-ndjson');
  const lines = bytes.toString().trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as Entry)).toEqual(await list(rival));
});

test('finds entries by the name of a key, but not by the name of a key of a different tenant', async () => {
  const { key: admin } = await createKey({ role: 'admin', tenant: 'named' });
  const { key: robot, id } = await createKey({ name: 'named robot', role: 'editor', tenant: 'named' }, admin);
  const { key: other } = await createKey({ name: 'named robot', role: 'editor', tenant: 'other' });
  const image = await upload(robot, 'named robot');
  const foreign = await upload(other, 'robot of a different tenant');
  const targets = async (key: string) =>
    (await list(key, '&actor=named%20robot')).map(({ target }) => target);
  expect(await targets(admin)).toEqual([image.uuid]);
  expect(await targets(bootstrapKey)).toEqual([foreign.uuid, image.uuid]);
  expect((await list(admin, '&actor=named%20robot'))[0]?.key_id).toBe(id);
  const exported = await send('GET', '/v1/audit/export?actor=named%20robot', admin);
  expect(exported.bytes.toString().trimEnd().split('\n')).toHaveLength(1);
});

test('filters the log', async () => {
  const { key, id } = await createKey({ role: 'admin', tenant: 'filtered' });
  const { key: editor, id: editorId } = await createKey({ role: 'editor', tenant: 'filtered' }, key);
  const image = await upload(editor, 'filtered');
  const actions = async (query: string) => (await list(key, query)).map(({ action }) => action);
  expect(await actions(`&actor=${editorId}`)).toEqual(['image.create']);
  expect(await actions(`&actor=${id}`)).toEqual(['key.create']);
  expect(await actions('&actor=BOOTSTRAP_ADMIN_KEY')).toEqual(['key.create']);
  expect(await actions('&actor=nobody')).toEqual([]);
  expect(await actions(`&target=${image.uuid}`)).toEqual(['image.create']);
  expect(await actions('&action=key.create')).toEqual(['key.create', 'key.create']);
  expect(await actions('&until=2020-01-01T00:00:00Z')).toEqual([]);
  expect(await actions('&since=2020-01-01T00:00:00Z')).toHaveLength(3);
  const exported = await send('GET', `/v1/audit/export?since=2020-01-01T00:00:00Z&actor=${editorId}`, key);
  expect(exported.bytes.toString().trimEnd().split('\n')).toHaveLength(1);
  for (const query of ['since=yesterday', 'action=image.eat', 'limit=0', 'who=me'])
    expectProblem(await send('GET', `/v1/audit?${query}`, key), 400, 'invalid_request');
});
