import { describe, expect, onTestFinished, test } from 'vitest';
import { Client } from 'pg';
import { pino } from 'pino';
import { makeApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { drawProduct, makeUniquePicture } from '../support/inner/pictures.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { createOwnedDatabase } from '../support/inner/server-database.ts';
import { removeTenantConditions, withoutTenantConditions } from '../support/inner/without-conditions.ts';

const administratorKey = 'an-administrator-key-for-this-test-only';

/** Starts the server in this process. Returns a function that sends requests to it. */
async function start(databaseUrl: string, folder: string) {
  const config = loadConfig({
    AUTH: 'keys',
    SECRET_KEY: 'the-secret-of-this-test-0123456789abcdef',
    BOOTSTRAP_ADMIN_KEY: administratorKey,
    DATABASE_URL: databaseUrl,
    DATA_DIR: folder,
    PORT: '0',
    PURGE_CONFIRM_TOKEN: 'confirmed by this test',
    READ_CACHE_MB: '0',
  });
  const app = await makeApp(config, pino({ level: 'silent' }), () => undefined);
  const url = await app.listen();
  async function send(key: string, method: string, path: string, body?: object | FormData) {
    const response = await fetch(new URL(path, url), {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body && !(body instanceof FormData) && { 'content-type': 'application/json' }),
      },
      ...(body && { body: body instanceof FormData ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, text, record: parse(text) };
  }
  return { send, close: () => app.close() };
}

type Send = Awaited<ReturnType<typeof start>>['send'];

function parse(text: string): Record<string, never> {
  try {
    return JSON.parse(text) as Record<string, never>;
  } catch {
    return {};
  }
}

function makeForm(bytes: Buffer, filename: string): FormData {
  const form = new FormData();
  form.set('file', new Blob([new Uint8Array(bytes)], { type: 'image/jpeg' }), filename);
  return form;
}

/** Creates two tenants. The first one has an administrator's key; the second one has something of everything. */
async function fill(send: Send) {
  const createKey = async (tenant: string) =>
    (await send(administratorKey, 'POST', '/v1/keys', { name: `key of ${tenant}`, role: 'admin', tenant }))
      .record;
  const [shop, rival] = [await createKey('shop'), await createKey('rival')];
  const picture = await drawProduct();
  const upload = async (bytes: Buffer, name: string) =>
    (await send(rival['key']!, 'POST', '/v1/images', makeForm(bytes, `${name} of rival.jpg`))).record;
  const image = await upload(picture, 'secret');
  const deleted = await upload(await makeUniquePicture(), 'deleted');
  await upload(await makeUniquePicture(), 'unused');
  await send(rival['key']!, 'PUT', `/v1/images/${String(image['id'])}/references/page-of-rival`);
  await send(rival['key']!, 'DELETE', `/v1/images/${String(deleted['id'])}`);
  const importRecord = (
    await send(rival['key']!, 'POST', '/v1/imports', { urls: ['http://127.0.0.1:9/of-rival.jpg'] })
  ).record;
  const jobs = (await send(rival['key']!, 'GET', '/v1/jobs')).record['items'] as { id: number }[] | undefined;
  await send(shop['key']!, 'POST', '/v1/images', makeForm(await makeUniquePicture(), 'own.jpg'));
  const ids = {
    id: image['id'],
    uuid: image['uuid'],
    deleted: deleted['id'],
    import: importRecord['id'],
    job: jobs?.[0]?.id,
    key: rival['id'],
  };
  for (const [name, id] of Object.entries(ids)) expect(id, name).toBeDefined();
  return { shopKey: String(shop['key']), picture, ids };
}

type Fixture = Awaited<ReturnType<typeof fill>>;
type Request = readonly [method: string, path: string, body?: object | FormData];

const describeRequest = ([method, path]: Request) => `${method} ${path}`;

/** Requests for what belongs to the other tenant, by id. All must answer as if it did not exist. */
const readById = ({ ids }: Fixture): Request[] => [
  ...[ids.id, ids.uuid].flatMap((id): Request[] => [
    ['GET', `/v1/images/${id}`],
    ['GET', `/v1/images/${id}/original`],
    ['GET', `/v1/images/${id}/thumbnail`],
    ['GET', `/v1/images/${id}/renditions/card`],
    ['GET', `/v1/images/${id}/similar`],
    ['GET', `/v1/images/${id}/duplicates`],
    ['GET', `/v1/images/${id}/references`],
    ['POST', `/v1/images/${id}/links`, { preset: 'card', expires_in: 60 }],
  ]),
  ['GET', `/retrieve/asset/${ids.id}`],
  ['GET', `/retrieve/original/${ids.id}`],
  ['GET', `/retrieve/rendition/${ids.id}/card`],
  ['GET', `/api/v1/images/${ids.uuid}`],
  ['GET', `/api/v1/images/${ids.uuid}/similar`],
  ['GET', `/v1/imports/${ids.import}`],
  ['GET', `/v1/jobs/${ids.job}`],
  ['GET', `/v1/keys/${ids.key}`],
  ['GET', '/v1/usage/rival'],
  ['GET', '/metrics/tenant/rival'],
];

/** Requests that list, count or search. They must answer, without anything of the other tenant. */
const readAll = ({ picture }: Fixture): Request[] => [
  ['GET', '/v1/images'],
  ['GET', '/v1/images?status=completed'],
  ['GET', '/api/v1/images'],
  ['GET', '/v1/jobs'],
  ['GET', '/v1/keys'],
  ['GET', '/v1/audit?limit=100'],
  ['GET', '/v1/audit/export'],
  ['GET', '/v1/usage'],
  ['GET', '/v1/metrics'],
  ['POST', '/v1/search', makeForm(picture, 'query.jpg')],
  ['POST', '/v1/purge', { dry_run: true }],
];

/** Requests that would change what belongs to the other tenant. */
const write = ({ ids }: Fixture): Request[] => [
  ['PUT', `/v1/images/${ids.id}/references/page-of-shop`],
  ['DELETE', `/v1/images/${ids.id}/references/page-of-rival`],
  ['POST', `/v1/images/${ids.deleted}/restore`],
  ['POST', `/v1/jobs/${ids.job}/retry`],
  ['POST', `/v1/keys/${ids.key}/rotate`, {}],
  ['DELETE', `/v1/keys/${ids.key}`],
  ['DELETE', `/v1/images/${ids.uuid}`],
  ['DELETE', `/v1/images/${ids.id}`],
  ['DELETE', `/api/v1/images/${ids.uuid}`],
];

const writeAll: Request[] = [
  ['POST', '/v1/jobs/retry', { failure_class: 'permanent' }],
  ['POST', '/v1/purge', { dry_run: false, confirm_token: 'confirmed by this test' }],
  ['POST', '/v1/purge/deleted', { dry_run: false, days: 0 }],
  ['POST', '/purge/?dry_run=false&days=0'],
];

/** Matches everything by which the other tenant's data can be recognised. */
const marks = ({ ids }: Fixture) =>
  new RegExp(`of.rival|${ids.uuid}|${ids.key}|"rival"\\s*:|"tenant":\\s*"rival"`);

/** Returns all rows of the second tenant, as a superuser sees them. */
async function snapshot(client: Client): Promise<string[]> {
  const tenant = "(SELECT id FROM tenants WHERE name IN ('rival'))";
  const tables = {
    images: `tenant_id IN ${tenant}`,
    jobs: `tenant_id IN ${tenant}`,
    fingerprints: `tenant_id IN ${tenant}`,
    embeddings: `tenant_id IN ${tenant}`,
    imports: `tenant_id IN ${tenant}`,
    api_keys: `tenant_id IN ${tenant}`,
    renditions: `image_id IN (SELECT id FROM images WHERE tenant_id IN ${tenant})`,
    image_references: `image_id IN (SELECT id FROM images WHERE tenant_id IN ${tenant})`,
    audit_log: "tenant = ANY ('{rival}')",
  };
  const rows: string[] = [];
  for (const [table, condition] of Object.entries(tables)) {
    const seal = table === 'audit_log' ? " - 'position' - 'hash'" : '';
    const result = await client.query<{ row: string }>(
      `SELECT (to_jsonb(t)${seal})::text AS row FROM ${table} t WHERE ${condition} ORDER BY 1`,
    );
    rows.push(...result.rows.map(({ row }) => `${table} ${row}`));
  }
  return rows;
}

test('recognises conditions on the tenant', () => {
  const changes = {
    'WHERE "images"."tenant_id" = $1 AND x': 'WHERE (true OR "images"."tenant_id" = $1) AND x',
    'WHERE tenant_id = $12': 'WHERE (true OR tenant_id = $12)',
    '"t"."id" = $2': '(true OR "t"."id" = $2)',
    'j.tenant_id = (SELECT id FROM tenants WHERE name = $3)':
      '(true OR j.tenant_id = (SELECT id FROM tenants WHERE name = $3))',
    'i.tenant_id = e.tenant_id': 'i.tenant_id = e.tenant_id',
    'SELECT id, tenant_id': 'SELECT id, tenant_id',
  };
  for (const [text, expected] of Object.entries(changes))
    expect(withoutTenantConditions(text)).toBe(expected);
});

describe.each([
  ['a superuser', 'SUPERUSER'],
  ['an ordinary user', ''],
])('without conditions on the tenant, with %s', (_name, attributes) => {
  test('no request reads or changes anything of a different tenant', async () => {
    const { url, remove } = await createOwnedDatabase(attributes);
    onTestFinished(remove);
    const folder = await makeTestFolder();
    const administrator = new Client({ connectionString: asAdministrator(url) });
    await administrator.connect();
    onTestFinished(() => administrator.end());

    const intact = await start(url, folder);
    const fixture = await fill(intact.send);
    await intact.close();
    await administrator.query(
      "UPDATE jobs SET state = 'failed', failure_class = 'permanent', error_code = 'picture_damaged' WHERE id = $1",
      [fixture.ids.job],
    );
    const before = await snapshot(administrator);
    expect(before.length).toBeGreaterThan(12);

    const removal = removeTenantConditions();
    onTestFinished(removal.restore);
    const server = await start(url, folder);
    onTestFinished(() => server.close());
    const send = (request: Request) => server.send(fixture.shopKey, ...request);
    const changedByStart = removal.changed();
    for (const request of readById(fixture))
      expect((await send(request)).status, describeRequest(request)).toBe(404);
    for (const request of readAll(fixture)) {
      const { status, text } = await send(request);
      expect(status, describeRequest(request)).toBe(200);
      expect(text, describeRequest(request)).not.toMatch(marks(fixture));
    }
    for (const request of write(fixture))
      expect((await send(request)).status, describeRequest(request)).toBe(404);
    const copy = await send(['POST', '/v1/images', makeForm(fixture.picture, 'copy.jpg')]);
    expect(copy.status, 'the same bytes are a new image').toBe(201);
    expect(copy.record['near_duplicates']).toEqual([]);
    // The purges remove only this copy, and the other picture of the caller.
    await send(['DELETE', `/v1/images/${copy.record['id']}`]);
    for (const request of writeAll) expect((await send(request)).status, describeRequest(request)).toBe(200);
    expect(await snapshot(administrator)).toEqual(before);
    expect(removal.changed()).toBeGreaterThan(changedByStart + 30);

    // The same requests do leak without the policies. Otherwise, the conditions were not taken out.
    await administrator.query(`
      DO $$ DECLARE relation regclass; BEGIN
        FOR relation IN SELECT oid FROM pg_class WHERE relrowsecurity LOOP
          EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY', relation);
        END LOOP;
      END $$`);
    const leaks = async (request: Request) => {
      const { status, text } = await send(request);
      return (
        status < 300 && (request[1].includes('rival') || marks(fixture).test(text) || !text.startsWith('{'))
      );
    };
    const safe: string[] = [];
    for (const request of [...readById(fixture), ...readAll(fixture)])
      if (!(await leaks(request))) safe.push(describeRequest(request));
    expect(safe).toEqual([]);
    for (const request of write(fixture)) await send(request);
    expect(await snapshot(administrator)).not.toEqual(before);
  });
});

function asAdministrator(url: string): string {
  const result = new URL(process.env['TEST_DATABASE_URL'] ?? '');
  result.pathname = new URL(url).pathname;
  return result.href;
}
