import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ApiResponse, call, expectProblem } from '../support/process/client.ts';
import { jpeg, truncatedJpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';
import { listRegisteredRoutes } from './access/registered-routes.ts';
import { createKey, keySettings, operatorKey, withKey } from './support/keys.ts';

const makeIdempotencyKey = () => randomBytes(8).toString('hex');

interface Request {
  readonly path: string;
  readonly method?: string;
  /** The API key. */
  readonly key?: string;
  readonly idempotencyKey: string;
  readonly type?: string;
  readonly body?: string | Buffer;
}

function send(base: string, { path, method = 'POST', key, idempotencyKey, type, body }: Request) {
  return call(base + path, {
    method,
    headers: {
      'idempotency-key': idempotencyKey,
      ...(key !== undefined && withKey(key)),
      ...(type !== undefined && { 'content-type': type }),
    },
    ...(body !== undefined && { body: new Uint8Array(Buffer.from(body)) }),
  });
}

const json = (value: unknown) => ({ type: 'application/json', body: JSON.stringify(value) });

type Part = [name: string, value: string | Buffer, filename?: string];

/** Encodes a form with a boundary and an order of the parts that the caller chooses. */
function encodeForm(boundary: string, ...parts: Part[]) {
  const chunks = parts.flatMap(([name, value, filename]) => [
    `--${boundary}\r\ncontent-disposition: form-data; name="${name}"${filename === undefined ? '' : `; filename="${filename}"`}\r\n\r\n`,
    value,
    '\r\n',
  ]);
  return {
    type: `multipart/form-data; boundary=${boundary}`,
    body: Buffer.concat([...chunks, `--${boundary}--\r\n`].map((chunk) => Buffer.from(chunk))),
  };
}

const isReplay = ({ headers }: ApiResponse) => headers.get('idempotency-replayed') === 'true';

function expectReplay(response: ApiResponse, first: ApiResponse): void {
  expect(isReplay(response), response.bytes.toString()).toBe(true);
  expect(response.status).toBe(first.status);
  expect(response.bytes.equals(first.bytes)).toBe(true);
  for (const name of ['content-type', 'location', 'cache-control'])
    expect(response.headers.get(name)).toBe(first.headers.get(name));
}

function expectFirst(response: ApiResponse, status: number): void {
  expect(response.status, response.bytes.toString()).toBe(status);
  expect(isReplay(response)).toBe(false);
}

describe('with keys', () => {
  const server = useServer({ ...keySettings, PURGE_CONFIRM_TOKEN: 'yes' });
  let editor: string;

  beforeAll(async () => {
    editor = await createKey(server().url, { role: 'editor', tenant: 'shop' });
  });

  const countKeys = async () =>
    (
      await call<{ items: unknown[] }>(`${server().url}/v1/keys?limit=1000`, {
        headers: withKey(operatorKey),
      })
    ).body.items.length;

  test('replays the response to the same JSON, whatever the order of its fields', async () => {
    const request = { path: '/v1/keys', key: operatorKey, idempotencyKey: makeIdempotencyKey() };
    const first = await send(server().url, { ...request, ...json({ name: 'a', role: 'reader' }) });
    expectFirst(first, 201);
    expect(first.headers.get('cache-control')).toBe('no-store');
    const count = await countKeys();
    expectReplay(await send(server().url, { ...request, ...json({ role: 'reader', name: 'a' }) }), first);
    expect(await countKeys()).toBe(count);
    const other = await send(server().url, { ...request, ...json({ name: 'b', role: 'reader' }) });
    expect(expectProblem(other, 409, 'idempotency_conflict')).toContain(request.idempotencyKey);
    const { id } = first.body;
    const otherRoute = await send(server().url, {
      ...request,
      path: `/v1/keys/${String(id)}/rotate`,
      ...json({ name: 'a', role: 'reader' }),
    });
    expectProblem(otherRoute, 409, 'idempotency_conflict');
    expect(await countKeys()).toBe(count);
  });

  describe.each([
    { path: '/v1/images', field: 'tenant', created: 201 },
    { path: '/upload', field: 'tenant_name', created: 200 },
    { path: '/api/v1/images/upload', field: undefined, created: 200 },
  ])('a form for $path', ({ path, field, created }) => {
    const tenantPart = (value = 'shop'): Part[] => (field === undefined ? [] : [[field, value]]);

    test('counts by its fields and its file, whatever its boundary and order', async () => {
      const picture = await jpeg(path);
      const request = { path, key: editor, idempotencyKey: makeIdempotencyKey() };
      const first = await send(server().url, {
        ...request,
        ...encodeForm('one', ...tenantPart(), ['file', picture, 'a.jpg']),
      });
      expectFirst(first, created);
      const repeated = encodeForm('another', ['file', picture, 'b.jpg'], ...tenantPart());
      expectReplay(await send(server().url, { ...request, ...repeated }), first);
      const otherFile = encodeForm('one', ...tenantPart(), ['file', await jpeg(`${path} other`), 'a.jpg']);
      expectProblem(await send(server().url, { ...request, ...otherFile }), 409, 'idempotency_conflict');
      if (field === undefined) return;
      for (const parts of [tenantPart('rival'), []]) {
        const otherField = encodeForm('one', ...parts, ['file', picture, 'a.jpg']);
        expectProblem(await send(server().url, { ...request, ...otherField }), 409, 'idempotency_conflict');
      }
    });
  });

  test('each key has its own, even within a tenant', async () => {
    const [idempotencyKey, picture] = [makeIdempotencyKey(), await jpeg('own')];
    const request = { path: '/v1/images', idempotencyKey, ...encodeForm('x', ['file', picture, 'own.jpg']) };
    const first = await send(server().url, { ...request, key: editor });
    expectFirst(first, 201);
    const colleague = await createKey(server().url, { role: 'editor', tenant: 'shop' });
    const known = await send(server().url, { ...request, key: colleague });
    expectFirst(known, 200);
    const rival = await createKey(server().url, { role: 'editor', tenant: 'rival' });
    const foreign = await send(server().url, { ...request, key: rival });
    expectFirst(foreign, 201);
    expect(foreign.body).toMatchObject({ tenant: 'rival' });
    expect(foreign.body['id']).not.toBe(first.body['id']);
    // A conflict would also tell that someone else has used the key.
    const other = encodeForm('x', ['file', await jpeg('not own'), 'own.jpg']);
    const operator = await send(server().url, { ...request, ...other, key: operatorKey });
    expectFirst(operator, 201);
    expectReplay(await send(server().url, { ...request, key: editor }), first);
    expectReplay(await send(server().url, { ...request, key: rival }), foreign);
  });

  test('shows a stored response to nobody who has lost the right to it', async () => {
    const request = { path: '/v1/keys', idempotencyKey: makeIdempotencyKey() };
    const body = json({ name: 'c', role: 'reader' });
    const admin = await createKey(server().url, { role: 'admin' });
    expectFirst(await send(server().url, { ...request, ...body, key: admin }), 201);
    const id = /^vitrine_([^_]+)_/.exec(admin)?.[1] ?? '';
    await call(`${server().url}/v1/keys/${id}`, { method: 'DELETE', headers: withKey(operatorKey) });
    expectProblem(await send(server().url, { ...request, ...body, key: admin }), 401, 'unauthenticated');
    expectProblem(await send(server().url, { ...request, ...body, key: editor }), 403, 'missing_scope');
  });

  test('covers what deletes and restores', async () => {
    const { url } = server();
    const picture = encodeForm('x', ['tenant', 'restored'], ['file', await jpeg('restored'), 'r.jpg']);
    const upload = await send(url, {
      path: '/v1/images',
      key: operatorKey,
      idempotencyKey: makeIdempotencyKey(),
      ...picture,
    });
    const image = `/v1/images/${String(upload.body['id'])}`;
    const remove = () => call(url + image, { method: 'DELETE', headers: withKey(operatorKey) });
    const read = async () => (await call(url + image, { headers: withKey(operatorKey) })).status;
    await remove();
    const restore = { path: `${image}/restore`, key: operatorKey, idempotencyKey: makeIdempotencyKey() };
    const restored = await send(url, restore);
    expectFirst(restored, 200);
    await remove();
    expectReplay(await send(url, restore), restored);
    expect(await read(), 'a replay must not run').toBe(404);
    const purge = (idempotencyKey: string) =>
      send(url, {
        path: '/v1/purge/deleted',
        key: operatorKey,
        idempotencyKey,
        ...json({ dry_run: false, days: 0, confirm_token: 'yes' }),
      });
    const idempotencyKey = makeIdempotencyKey();
    const purged = await purge(idempotencyKey);
    expectFirst(purged, 200);
    expectReplay(await purge(idempotencyKey), purged);
    const again = await purge(makeIdempotencyKey());
    expectFirst(again, 200);
    expect(again.body).not.toEqual(purged.body);
  });

  test('does not store errors, so the key can be used for a corrected request', async () => {
    const request = { path: '/v1/keys', key: operatorKey, idempotencyKey: makeIdempotencyKey() };
    for (let round = 0; round < 2; round += 1) {
      const invalid = await send(server().url, { ...request, ...json({ name: 'x', role: 'no role' }) });
      expectProblem(invalid, 400, 'invalid_request');
      expect(isReplay(invalid)).toBe(false);
    }
    const corrected = { ...request, ...json({ name: 'x', role: 'reader' }) };
    const first = await send(server().url, corrected);
    expectFirst(first, 201);
    expectReplay(await send(server().url, corrected), first);
    const file = encodeForm('x', ['file', await truncatedJpeg('damaged'), 'd.jpg']);
    const upload = { path: '/v1/images', key: editor, idempotencyKey: makeIdempotencyKey(), ...file };
    for (let round = 0; round < 2; round += 1) expectFirst(await send(server().url, upload), 400);
    const missing = {
      path: '/v1/images/999999999/restore',
      key: editor,
      idempotencyKey: makeIdempotencyKey(),
    };
    for (let round = 0; round < 2; round += 1) expectFirst(await send(server().url, missing), 404);
  });

  test.each([
    { status: 403, code: 'purge_refused', path: '/v1/purge', value: { dry_run: false } },
    {
      status: 403,
      code: 'tenant_not_allowed',
      path: '/v1/images',
      value: { url: 'http://x.y/', tenant: 'z' },
    },
  ])('does not store $code', async ({ status, code, path, value }) => {
    const key = path === '/v1/images' ? editor : operatorKey;
    const request = { path, key, idempotencyKey: makeIdempotencyKey(), ...json(value) };
    for (let round = 0; round < 2; round += 1) {
      const response = await send(server().url, request);
      expectProblem(response, status, code);
      expect(isReplay(response)).toBe(false);
    }
  });

  test('does not store a 409 that a later attempt can avoid', async () => {
    const { url } = server();
    const file = encodeForm('x', ['file', await jpeg('job'), 'd.jpg'], ['tenant_name', 'shop']);
    const upload = { path: '/upload', key: editor, idempotencyKey: makeIdempotencyKey(), ...file };
    const job = String((await send(url, upload)).body['job_id']);
    const retry = {
      path: `/v1/jobs/${job}/retry`,
      key: operatorKey,
      idempotencyKey: makeIdempotencyKey(),
    };
    for (let round = 0; round < 2; round += 1) {
      const response = await send(url, retry);
      expectProblem(response, 409, 'job_not_failed');
      expect(isReplay(response)).toBe(false);
    }
  });

  test.each(['', 'a b', 'x'.repeat(256), 'clé'])('rejects the key %j', async (idempotencyKey) => {
    const count = await countKeys();
    const body = json({ name: 'a', role: 'reader' });
    const response = await send(server().url, {
      path: '/v1/keys',
      key: operatorKey,
      idempotencyKey,
      ...body,
    });
    expect(expectProblem(response, 400, 'invalid_request')).toContain(
      `Idempotency-Key must be 1 to 255 printable ASCII characters without spaces; this one has ${idempotencyKey.length} characters`,
    );
    expect(await countKeys()).toBe(count);
    const form = encodeForm('x', ['file', await jpeg('rejected'), 'd.jpg']);
    const upload = await send(server().url, { path: '/v1/images', key: editor, idempotencyKey, ...form });
    expectProblem(upload, 400, 'invalid_request');
  });

  test('accepts the longest key', async () => {
    const request = { path: '/v1/keys', key: operatorKey, idempotencyKey: '~'.repeat(255) };
    const body = json({ name: 'longest', role: 'reader' });
    const first = await send(server().url, { ...request, ...body });
    expectFirst(first, 201);
    expectReplay(await send(server().url, { ...request, ...body }), first);
  });

  test('is ignored by routes that create and delete nothing', async () => {
    const idempotencyKey = 'not a valid key';
    const form = encodeForm('x', ['file', await jpeg('search'), 's.jpg']);
    for (let round = 0; round < 2; round += 1) {
      const searched = await send(server().url, { path: '/v1/search', key: editor, idempotencyKey, ...form });
      expectFirst(searched, 200);
      const listed = await send(server().url, {
        path: '/v1/images',
        method: 'GET',
        key: editor,
        idempotencyKey,
      });
      expectFirst(listed, 200);
    }
  });

  test('causes no server error', () => {
    expect(server().log()).not.toMatch(/"level":"error"|ERROR/);
  });
});

describe('without keys', () => {
  const server = useServer({ AUTH: 'open' });

  test.each([
    { path: '/v1/images', field: 'tenant', created: 201 },
    { path: '/upload', field: 'tenant_name', created: 200 },
  ])('each tenant has its own for forms: $path', async ({ path, field, created }) => {
    const request = { path, idempotencyKey: makeIdempotencyKey() };
    const picture = await jpeg(`open ${path}`);
    const upload = (tenant?: string, file = picture) =>
      send(server().url, {
        ...request,
        ...encodeForm('x', ...(tenant === undefined ? [] : [[field, tenant] as Part]), [
          'file',
          file,
          'a.jpg',
        ]),
      });
    const first = await upload('shop');
    expectFirst(first, created);
    const other = await upload('rival');
    expectFirst(other, created);
    expect(other.bytes.equals(first.bytes)).toBe(false);
    const unnamed = await upload();
    expectFirst(unnamed, created);
    expectReplay(await upload('shop'), first);
    expectReplay(await upload(), unnamed);
    expectProblem(await upload('rival', await jpeg('something else')), 409, 'idempotency_conflict');
  });

  test('each tenant has its own for JSON and for the query', async () => {
    const line = json({ urls: ['http://pictures.example.com/a.jpg'] });
    const idempotencyKey = makeIdempotencyKey();
    const importInto = (tenant: string) =>
      send(server().url, { path: `/v1/imports?tenant=${tenant}`, idempotencyKey, ...line });
    const first = await importInto('shop');
    expectFirst(first, 202);
    const other = await importInto('rival');
    expectFirst(other, 202);
    expect(other.body['id']).not.toBe(first.body['id']);
    expectReplay(await importInto('shop'), first);
    const keyFor = (tenant: string) =>
      send(server().url, {
        path: '/v1/images',
        idempotencyKey: `${idempotencyKey}-url`,
        ...json({ url: 'http://pictures.example.com/b.jpg', tenant }),
      });
    const image = await keyFor('shop');
    expectFirst(image, 202);
    expectFirst(await keyFor('rival'), 202);
    expectReplay(await keyFor('shop'), image);
  });

  test.each(['\u0000', randomBytes(9_000).toString('hex'), '\uD800', 'ö'.repeat(300)])(
    'rejects an invalid tenant without a server error (case %#)',
    async (tenant) => {
      const response = await send(server().url, {
        path: '/v1/images',
        idempotencyKey: makeIdempotencyKey(),
        ...json({ url: 'http://pictures.example.com/a.jpg', tenant }),
      });
      expect(response.status, response.bytes.toString()).toBe(400);
    },
  );
});

/** POST routes that only read, so that they can be repeated anyway. */
const readingRoutes: Readonly<Record<string, string>> = {
  '/v1/compare': 'compares two files, and stores neither',
  '/v1/images/{id}/compare': 'compares an image with a file that is not stored',
  '/compare/{asset_id}': 'compares an asset with a file that is not stored',
  '/v1/search': 'searches with a file that is not stored',
};

test('every POST route that creates or deletes honours the header', async () => {
  const posts = (await listRegisteredRoutes()).filter(({ method }) => method === 'POST');
  expect(posts.length).toBeGreaterThan(10);
  const ignoring = posts.filter(({ isIdempotent }) => !isIdempotent).map(({ path }) => path);
  expect(ignoring.toSorted()).toEqual(Object.keys(readingRoutes).toSorted());
  for (const { isIdempotent, operation, path } of posts)
    expect(JSON.stringify(operation?.parameters ?? []).includes('Idempotency-Key'), path).toBe(isIdempotent);
});
