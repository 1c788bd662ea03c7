import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allScopes } from '../../../src/model/access.ts';
import { createServerDatabase, serverDatabaseUrl } from '../../support/inner/server-database.ts';
import { call, form } from '../../support/process/client.ts';
import { jpeg } from '../../support/process/pictures.ts';
import { s3Environment } from '../../support/process/s3.ts';
import { useServer } from '../../support/process/server.ts';
import { services } from '../../support/services.ts';
import { useOrigin } from '../support/origin.ts';
import { checkCaller, checkForeignNames, type MatrixRig } from './access-matrix.ts';
import {
  type Caller,
  makeRoleCaller,
  makeRoleCallers,
  makeScopeCallers,
  makeUnknownCallers,
} from './callers.ts';
import { listRegisteredRoutes, type RegisteredRoute } from './registered-routes.ts';
import { type AccessRig, fillTenant, type TenantFixture } from './tenant-fixture.ts';

/** Sends every registered route's requests as every kind of caller, with the ids of its own and of a different tenant. */

/** Signed paths have tests of their own (test/http/delivery/signed-paths.test.ts). */
const routes = (await listRegisteredRoutes()).filter(({ isSignedPath }) => !isSignedPath);
const operatorKey = `operator key ${randomBytes(24).toString('hex')}`.replaceAll(' ', '-');
const origin = useOrigin(async () => ({ '/pictures/a.jpg': await jpeg('origin') }));

const settings = {
  IMPORT_ALLOWED_NETWORKS: '127.0.0.1/32',
  PURGE_CONFIRM_TOKEN: 'yes',
  NEAR_DUPLICATES: 'flag',
};
const keySettings = {
  AUTH: 'keys',
  SECRET_KEY: randomBytes(24).toString('hex'),
  BOOTSTRAP_ADMIN_KEY: operatorKey,
};

function makeRig(url: string, { STORAGE_TYPE }: Readonly<Record<string, string>> = {}): AccessRig {
  return { url, operatorKey, originUrl: origin(), hasPresignedUploads: STORAGE_TYPE === 's3' };
}

/** Routes of the similarity dialect show a caller without a tenant only the tenant `default`. */
const isSimilarityDialect = ({ path }: RegisteredRoute) => path.startsWith('/api/v1/images');

async function makeDatabase(): Promise<Record<string, string>> {
  const { name, remove } = await createServerDatabase(false);
  afterAll(remove);
  return { DATABASE_URL: serverDatabaseUrl(name), ...(services.s3Endpoint && s3Environment()) };
}

const backEnds: [string, Record<string, string>][] = [['the embedded database', {}]];
if (services.databaseUrl !== undefined) backEnds.push(['PostgreSQL', await makeDatabase()]);

test('every route is registered with its documented operation', () => {
  expect(routes.length).toBeGreaterThan(100);
  const undocumented = routes.filter(({ operation, scopes }) => !operation && scopes.length > 0);
  expect(undocumented).toEqual([]);
});

describe.each(backEnds)('with keys, on %s', (_name, backEnd) => {
  const server = useServer({ ...settings, ...keySettings, ...backEnd });
  let rig: MatrixRig;
  let mine: TenantFixture;
  let theirs: TenantFixture;
  let defaultTenant: TenantFixture;
  let roleCallers: Caller[];
  let scopeCallers: Caller[];
  let unknownCallers: Caller[];

  beforeAll(async () => {
    const access = makeRig(server().url, backEnd);
    const suffix = randomBytes(4).toString('hex');
    [mine, theirs, defaultTenant] = await Promise.all([
      fillTenant(access, `mine-${suffix}`),
      fillTenant(access, `theirs-${suffix}`),
      fillTenant(access, 'default'),
    ]);
    rig = { ...access, routes, tenants: [mine, theirs, defaultTenant] };
    roleCallers = await makeRoleCallers(access, mine.name);
    scopeCallers = await makeScopeCallers(access, mine.name);
    unknownCallers = await makeUnknownCallers(access, mine.name);
  });

  test('rejects requests without a key, with a revoked key and with an expired key', async () => {
    for (const caller of unknownCallers) expect(await checkCaller(rig, caller, mine)).toEqual([]);
  });

  test('allows what the scopes of a key allow, and names the scope that is missing', async () => {
    for (const caller of [...roleCallers, ...scopeCallers])
      expect(await checkCaller(rig, caller, mine)).toEqual([]);
  });

  test('hides the ids of a different tenant, and changes nothing of it', async () => {
    await theirs.settle();
    const before = await theirs.readState();
    for (const caller of roleCallers) expect(await checkCaller(rig, caller, theirs)).toEqual([]);
    for (const part of ['query', 'body'] as const)
      for (const caller of roleCallers)
        expect(await checkForeignNames(rig, caller, mine, theirs, part)).toEqual([]);
    expect(await theirs.readState()).toEqual(before);
  });

  test('hides everything from the editor of a different tenant', async () => {
    await mine.settle();
    const before = await mine.readState();
    const rival = await makeRoleCaller(rig, 'other editor', 'editor', theirs.name);
    expect(await checkCaller(rig, rival, mine)).toEqual([]);
    for (const part of ['query', 'body'] as const)
      expect(await checkForeignNames(rig, rival, theirs, mine, part)).toEqual([]);
    expect(await mine.readState()).toEqual(before);
  });

  test('the checks above find a caller with too many rights', async () => {
    const [admin] = roleCallers;
    const impostor: Caller = { ...(admin as Caller), name: 'impostor', key: operatorKey, scopes: new Set() };
    const reads = routes.filter(({ method }) => method === 'GET');
    const found = (await checkCaller({ ...rig, routes: reads }, impostor, theirs)).join('\n');
    const withScopes = { ...impostor, scopes: new Set(allScopes) };
    const foreign = (await checkCaller({ ...rig, routes: reads }, withScopes, theirs)).join('\n');
    expect(found).toContain('expected missing_scope images.read');
    expect(foreign).toContain('expected not_found');
    for (const text of [theirs.name, 'a file'])
      expect(foreign).toMatch(new RegExp(`GET /v1/images/.* leaks ${text}`));
    for (const path of ['/v1/images', '/v1/jobs', '/v1/usage', '/v1/keys', '/v1/audit', '/v1/metrics'])
      expect(foreign).toContain(`GET ${path} as impostor: leaks`);
  });

  test('shows no Prometheus metrics to a key of one tenant, and usage only with usage.read', async () => {
    const readMetrics = async (scope: string, accept: string) => {
      const caller = scopeCallers.find(({ name }) => name === `only ${scope}`);
      const headers = { accept, authorization: `Bearer ${caller?.key ?? ''}` };
      const { status, body } = await call(`${rig.url}/metrics`, { headers }).then(({ status, bytes }) => ({
        status,
        body: bytes.toString(),
      }));
      return status === 200 ? status : body;
    };
    expect(await readMetrics('metrics.read', 'text/plain')).toContain('Metrics cover all tenants');
    expect(await readMetrics('usage.read', 'application/json')).toBe(200);
    expect(await readMetrics('usage.read', 'text/plain')).toContain('"metrics.read"');
    expect(await readMetrics('metrics.read', 'application/json')).toContain('"usage.read"');
  });

  test('purges only the tenant of the key', async () => {
    await theirs.settle();
    const before = await theirs.readState();
    const { key } = await makeRoleCaller(rig, 'purger', 'admin', mine.name);
    const send = (path: string, fields: object) =>
      call(rig.url + path, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(fields),
      });
    const confirm_token = 'yes';
    const image = await mine.create('image');
    await call(`${rig.url}/v1/images/${image.ids[0]}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${key}` },
    });
    const responses = [
      await send('/v1/purge/deleted', { dry_run: false, days: 0, confirm_token }),
      await send('/purge?dry_run=false&days=0', { confirm_token }),
      await send('/v1/purge', { dry_run: false, confirm_token }),
      await send('/v1/jobs/retry', { code: 'source_refused' }),
    ];
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(responses[0]?.body).toMatchObject({ dry_run: false });
    expect(await theirs.readState()).toEqual(before);
  });

  test('keeps the same picture of two tenants apart', async () => {
    const editor = await makeRoleCaller(rig, 'copier', 'editor', mine.name);
    const headers = { authorization: `Bearer ${editor.key}` };
    const send = (path: string) =>
      call(rig.url + path, { method: 'POST', headers, body: form(['file', theirs.picture, 'copy.jpg']) });
    expect((await send('/v1/search?threshold=0')).body).toMatchObject({ near_duplicates: [] });
    const uploaded = await send('/v1/images');
    expect(uploaded.status).toBe(201);
    expect(uploaded.body).toMatchObject({ tenant: mine.name, near_duplicates: [], duplicate_of: null });
    const duplicates = await call(`${rig.url}/v1/images/${String(uploaded.body['id'])}/duplicates`, {
      headers,
    });
    expect(duplicates.body['duplicates']).toEqual([]);
  });

  test('allows an admin without a tenant everything, for every tenant', async () => {
    const admin = await makeRoleCaller(rig, 'admin', 'admin');
    const [similarity, others] = [
      routes.filter(isSimilarityDialect),
      routes.filter((route) => !isSimilarityDialect(route)),
    ];
    expect(await checkCaller({ ...rig, routes: others }, admin, mine)).toEqual([]);
    expect(await checkCaller({ ...rig, routes: similarity }, admin, defaultTenant)).toEqual([]);
  });

  test('logs no key, and no server error', () => {
    const log = server().log();
    for (const { key } of [...roleCallers, ...scopeCallers, ...unknownCallers])
      if (key !== undefined) expect(log).not.toContain(key);
    expect(log).not.toContain(operatorKey);
    expect(log).not.toContain('"level":"error"');
  });
});

describe('without keys', () => {
  const server = useServer({ ...settings, AUTH: 'open' });

  test('ignores keys that are sent', async () => {
    const access = makeRig(server().url);
    const tenant = await fillTenant(access, 'default');
    const rig: MatrixRig = { ...access, routes, tenants: [tenant], isOpen: true };
    const known = await makeRoleCaller(rig, 'reader', 'reader', tenant.name);
    const nonsense: Caller = { ...known, name: 'nonsense', key: 'nonsense' };
    for (const caller of [...(await makeUnknownCallers(rig, tenant.name)), known, nonsense])
      expect(await checkCaller(rig, caller, tenant)).toEqual([]);
  });
});
