import { beforeAll, describe, expect, test } from 'vitest';
import { call, expectProblem, form } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';
import { createKey, keySettings, operatorKey, sendJson, uploadWithKey, withKey } from './support/keys.ts';

const server = useServer({ ...keySettings, QUOTA_IMPORTS_PER_DAY: '2' });
const defaults = { delivery: 'signed', quota_images: null, quota_bytes: null, quota_imports_per_day: 2 };

/** A type alias, because an interface has no index signature. */
type Report = {
  readonly tenant: string;
  readonly own: Record<string, unknown>;
  readonly defaults: Record<string, unknown>;
  readonly effective: Record<string, unknown>;
};

const path = (tenant: string) => `/v1/tenants/${tenant}/settings`;
const read = (tenant: string, key = operatorKey) =>
  call<Report>(server().url + path(tenant), { headers: withKey(key) });
const replace = (tenant: string, own: unknown, key = operatorKey) =>
  sendJson<Report>(server().url, 'PUT', path(tenant), own, key);
const makeAdmin = (tenant: string) => createKey(server().url, { tenant, role: 'admin' });

describe('settings of a tenant', () => {
  test('are the defaults until they are replaced, and again once they are left out', async () => {
    await makeAdmin('shop');
    expect((await read('shop')).body).toMatchObject({
      tenant: 'shop',
      own: {},
      defaults,
      effective: defaults,
    });
    const own = { delivery: 'public', quota_images: 10, quota_imports_per_day: null };
    const replaced = await replace('shop', own);
    expect(replaced.status).toBe(200);
    expect(replaced.body).toMatchObject({ own, defaults, effective: { ...defaults, ...own } });
    expect((await read('shop')).body).toEqual(replaced.body);
    expect((await replace('shop', { quota_bytes: 0 })).body.own).toEqual({ quota_bytes: 0 });
    expect((await replace('shop', {})).body).toMatchObject({ own: {}, effective: defaults });
  });

  test('are recorded in the audit log with what changed', async () => {
    await makeAdmin('audited');
    await replace('audited', { quota_images: 1 });
    await replace('audited', { quota_images: 2, delivery: 'public' });
    const { body } = await call<{ items: { actor: string; tenant: string; details: unknown }[] }>(
      `${server().url}/v1/audit?action=tenant.configure&target=audited`,
      { headers: withKey(operatorKey) },
    );
    expect(body.items.map(({ details }) => details)).toEqual([
      { delivery: { to: 'public' }, quota_images: { from: 1, to: 2 } },
      { quota_images: { to: 1 } },
    ]);
    expect(body.items[0]).toMatchObject({ actor: 'BOOTSTRAP_ADMIN_KEY', tenant: 'audited' });
  });

  test('are validated', async () => {
    await makeAdmin('validated');
    await replace('validated', { quota_images: 5 });
    for (const own of [
      { delivery: 'open' },
      { delivery: null },
      { quota_images: -1 },
      { quota_images: 1.5 },
      { quota_images: '5' },
      { quota_bytes: 2 ** 53 },
      { quota_pixels: 5 },
      { quotaImages: 5 },
      [],
      null,
      'public',
    ])
      expectProblem(await replace('validated', own), 400, 'invalid_request');
    const empty = await call(server().url + path('validated'), {
      method: 'PUT',
      headers: withKey(operatorKey),
    });
    expect(expectProblem(empty, 400, 'invalid_request')).toMatch(/body is missing/);
    const text = await call(server().url + path('validated'), {
      method: 'PUT',
      body: 'delivery=public',
      headers: { ...withKey(operatorKey), 'content-type': 'text/plain' },
    });
    expectProblem(text, 415, 'unsupported_body');
    expect((await read('validated')).body.own).toEqual({ quota_images: 5 });
  });

  test('cannot be read or changed without the scope, or for a different or unknown tenant', async () => {
    const admin = await makeAdmin('mine');
    await makeAdmin('theirs');
    const editor = await createKey(server().url, { tenant: 'mine', role: 'editor' });
    for (const send of [read, (tenant: string, key?: string) => replace(tenant, {}, key)]) {
      expectProblem(await send('mine', 'nonsense'), 401, 'unauthenticated');
      expect(expectProblem(await send('mine', editor), 403, 'missing_scope')).toMatch(/tenants\.manage/);
      for (const tenant of ['theirs', 'nobody', 'no%20name', 'x'.repeat(80)])
        expectProblem(await send(tenant, admin), 404, 'tenant_not_found');
      expectProblem(await send('nobody'), 404, 'tenant_not_found');
      expect((await send('mine', admin)).status).toBe(200);
    }
    // Reading or changing settings does not create a tenant.
    const usage = await call<{ tenants: { tenant: string }[] }>(`${server().url}/v1/usage`, {
      headers: withKey(operatorKey),
    });
    expect(usage.body.tenants.map(({ tenant }) => tenant)).not.toContain('nobody');
  });

  test('let a tenant change its delivery, but not its quotas', async () => {
    const admin = await makeAdmin('limited');
    for (const own of [{ quota_images: 10 }, { quota_images: null }, { quota_imports_per_day: 100 }])
      expectProblem(await replace('limited', own, admin), 403, 'settings_not_allowed');
    await replace('limited', { delivery: 'public', quota_images: 3, quota_bytes: null });
    const refusal = await replace('limited', { quota_images: 4 }, admin);
    expect(expectProblem(refusal, 403, 'settings_not_allowed')).toMatch(
      /Only a key without a tenant may change "quota_images": it is 3, and the request sets it to 4/,
    );
    // Quotas that are left out or sent back as they are keep their values.
    const kept = { quota_images: 3, quota_bytes: null };
    expect((await replace('limited', {}, admin)).body.own).toEqual(kept);
    const sentBack = { delivery: 'public', ...kept };
    expect((await replace('limited', sentBack, admin)).body.own).toEqual(sentBack);
  });
});

describe('quotas', () => {
  let key: string;
  const upload = async (seed: string) => uploadWithKey(server().url, key, await jpeg(seed));
  const importUrl = (url: string) => sendJson(server().url, 'POST', '/v1/images', { url }, key);

  beforeAll(async () => {
    key = await createKey(server().url, { tenant: 'small', role: 'editor' });
    await replace('small', { quota_images: 2 });
  });

  test('reject images beyond the limit on every surface, and accept known bytes', async () => {
    expect((await upload('one')).status).toBe(201);
    expect((await upload('two')).status).toBe(201);
    const refusal = await upload('three');
    const detail = expectProblem({ ...refusal, body: { ...refusal.body } }, 403, 'quota_exceeded');
    expect(detail).toMatch(/has 2 images; its quota is 2 images/);
    expect(refusal.body).toMatchObject({ quota: 'images', limit: 2, used: 2 });
    expect((await upload('one')).status).toBe(200);
    const file = await jpeg('three');
    for (const address of ['/upload/', '/api/v1/images/upload']) {
      const send = (bytes: Buffer) =>
        call(server().url + address, { method: 'POST', headers: withKey(key), body: form(['file', bytes]) });
      expectProblem(await send(file), 403, 'quota_exceeded');
      expect((await send(await jpeg('two'))).status).toBe(200);
    }
    await replace('small', { quota_images: 3 });
    expect((await upload('three')).status).toBe(201);
  });

  test('reject imports beyond the daily limit, and say when to try again', async () => {
    await replace('small', { quota_images: 100 });
    expect((await importUrl('https://a.example/1.jpg')).status).toBe(202);
    const batch = await sendJson<{ lines: { outcome: string; code: string | null }[] }>(
      server().url,
      'POST',
      '/v1/imports',
      { items: [{ url: 'https://a.example/2.jpg' }, { url: 'https://a.example/3.jpg' }] },
      key,
    );
    expect(batch.status).toBe(202);
    expect(batch.bytes.toString()).toContain('import_quota_exceeded');
    const refusal = await importUrl('https://a.example/4.jpg');
    expect(expectProblem(refusal, 429, 'import_quota_exceeded')).toMatch(/its quota is 2 a day/);
    const seconds = Number(refusal.headers.get('retry-after'));
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(86_400);
  });

  test('are shown beside the usage, and not in the older dialects', async () => {
    const usage = await call(`${server().url}/v1/usage/small`, { headers: withKey(key) });
    expect(usage.body).toMatchObject({
      images: 5,
      imports_today: 2,
      quotas: { images: 100, bytes: null, imports_per_day: 2 },
    });
    const dialect = await call(`${server().url}/metrics/tenant/small`, { headers: withKey(key) });
    expect(Object.keys(dialect.body).toSorted()).toEqual([
      'asset_bytes',
      'asset_count',
      'rendition_bytes',
      'rendition_count',
      'tenant_id',
      'tenant_name',
      'total_bytes',
    ]);
  });
});
