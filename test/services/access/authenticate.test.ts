import { describe, expect, test } from 'vitest';
import { makeApiKeyQueries } from '../../../src/db/api-keys.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { allScopes, roles } from '../../../src/model/access.ts';
import { systemPrincipal } from '../../../src/model/principal.ts';
import { type ApiKeyRequest, makeApiKeys } from '../../../src/services/access/api-keys.ts';
import { makeAuthenticate } from '../../../src/services/access/authenticate.ts';
import { generateApiKey } from '../../../src/services/access/api-key-format.ts';
import { makeSecretRing, type SecretRing } from '../../../src/services/access/secret-ring.ts';
import { selectRow, useDatabase } from '../../support/inner/database.ts';
import { makeRecordingLogger } from '../../support/inner/logger.ts';

const database = await useDatabase();
const secret = 's'.repeat(32);
const operatorKey = { subject: 'operator', key: 'k'.repeat(32) };
const operator = { ...systemPrincipal, subject: 'operator' };

function makeAccess(ring: SecretRing = makeSecretRing([secret])) {
  const apiKeys = makeApiKeyQueries(database);
  const tenants = makeTenantQueries(database);
  const logger = makeRecordingLogger();
  const authenticate = makeAuthenticate({ apiKeys, ring, operatorKeys: [operatorKey], logger });
  return { authenticate, keys: makeApiKeys({ apiKeys, tenants, ring, authenticate, logger }) };
}

const createKey = (request: Partial<ApiKeyRequest> = {}) =>
  makeAccess().keys.create(operator, { name: 'robot', role: 'reader', ...request });

const rejection = (message: RegExp) => ({ code: 'unauthenticated', message: expect.stringMatching(message) });

test('identifies the caller by its key', async () => {
  const { id, text } = await createKey({ role: 'editor', tenantName: 'shop' });
  const identity = await makeAccess().authenticate.verify(text);
  expect(identity).toMatchObject({ keyId: id, tenantName: 'shop', subject: `key ${id} (robot)` });
  expect([...identity.scopes]).toEqual(allScopes.filter((scope) => roles.editor.includes(scope as never)));
});

test('accepts an operator key with all scopes', async () => {
  const identity = await makeAccess().authenticate.verify(operatorKey.key);
  expect(identity).toMatchObject({ subject: 'operator', keyId: null, tenantId: null });
  expect([...identity.scopes]).toEqual(allScopes);
});

describe('rejects', () => {
  test('a request without a key, and says how to send one', async () => {
    await expect(makeAccess().authenticate.verify(undefined)).rejects.toMatchObject(
      rejection(/Authorization: Bearer/),
    );
  });

  test('text that is not a key without asking the database', async () => {
    await expect(makeAccess().authenticate.verify('secret')).rejects.toMatchObject(rejection(/mistyped/));
  });

  test('an unknown key', async () => {
    await expect(makeAccess().authenticate.verify(generateApiKey().text)).rejects.toMatchObject(
      rejection(/unknown, expired or revoked/),
    );
  });

  test('a key whose secret was removed from SECRET_KEY', async () => {
    const { text } = await createKey();
    const { authenticate } = makeAccess(makeSecretRing(['x'.repeat(32)]));
    await expect(authenticate.verify(text)).rejects.toMatchObject(rejection(/unknown/));
  });

  test('a revoked key immediately in the same process', async () => {
    const { id, text } = await createKey();
    const { authenticate, keys } = makeAccess();
    await authenticate.verify(text);
    await keys.revoke(operator, id);
    expect(authenticate.cached(text)).toBeUndefined();
    await expect(authenticate.verify(text)).rejects.toMatchObject(rejection(/revoked/));
  });

  test('an expired key', async () => {
    const { id, text } = await createKey();
    await database.runScript(
      `UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = '${id}'`,
    );
    await expect(makeAccess().authenticate.verify(text)).rejects.toMatchObject(rejection(/expired/));
  });
});

test('hashes a key again with the newest secret', async () => {
  const { id, text } = await createKey();
  const newRing = makeSecretRing(['n'.repeat(32), secret]);
  await makeAccess(newRing).authenticate.verify(text);
  expect(await selectRow(database, `SELECT secret_id FROM api_keys WHERE id = '${id}'`)).toEqual({
    secret_id: newRing.newestId,
  });
  await makeAccess(makeSecretRing(['n'.repeat(32)])).authenticate.verify(text);
});

test('records when a key was last used', async () => {
  const { id, text } = await createKey();
  const { authenticate, keys } = makeAccess();
  expect((await keys.find(operator, id)).lastUsedAt).toBeNull();
  await authenticate.verify(text);
  await expect.poll(async () => (await keys.find(operator, id)).lastUsedAt).toBeInstanceOf(Date);
});

test('never grants a key more rights than its creator has, even if its row was changed', async () => {
  const { authenticate, keys } = makeAccess();
  const creator = await keys.create(operator, { name: 'shop admin', tenantName: 'shop', role: 'admin' });
  const principal = await authenticate.verify(creator.text);
  const created = await keys.create(principal, { name: 'robot', scopes: ['images.read', 'images.write'] });
  expect(created).toMatchObject({ tenant: 'shop' });
  await database.runScript(`UPDATE api_keys SET scopes = '{images.read}' WHERE id = '${creator.id}'`);
  expect([...(await makeAccess().authenticate.verify(created.text)).scopes]).toEqual(['images.read']);
  await database.runScript(`UPDATE api_keys SET tenant_id = NULL WHERE id = '${created.id}'`);
  expect([...(await makeAccess().authenticate.verify(created.text)).scopes]).toEqual([]);
});

describe('a caller', () => {
  const asCaller = async (request: Partial<ApiKeyRequest>) =>
    makeAccess().authenticate.verify((await createKey(request)).text);

  test('cannot create a key with more scopes than its own', async () => {
    const principal = await asCaller({ scopes: ['keys.manage', 'images.read'], role: undefined });
    await expect(makeAccess().keys.create(principal, { name: 'x', role: 'editor' })).rejects.toMatchObject({
      code: 'key_exceeds_caller',
      message: expect.stringContaining('"images.write"'),
    });
  });

  test('cannot create a key for a different tenant, or for all tenants', async () => {
    const principal = await asCaller({ role: 'admin', tenantName: 'shop' });
    const { keys } = makeAccess();
    await expect(
      keys.create(principal, { name: 'x', role: 'reader', tenantName: 'rival' }),
    ).rejects.toMatchObject({ code: 'tenant_not_allowed' });
    expect(await keys.create(principal, { name: 'x', role: 'reader' })).toMatchObject({ tenant: 'shop' });
  });

  test('does not see the keys of a different tenant', async () => {
    const { id } = await createKey({ tenantName: 'rival' });
    const principal = await asCaller({ role: 'admin', tenantName: 'shop' });
    const { keys } = makeAccess();
    await expect(keys.find(principal, id)).rejects.toMatchObject({ code: 'key_not_found' });
    await expect(keys.revoke(principal, id)).rejects.toMatchObject({ code: 'key_not_found' });
    await expect(keys.rotate(principal, id, 0)).rejects.toMatchObject({ code: 'key_not_found' });
    expect((await keys.list(principal, 100)).every(({ tenant }) => tenant === 'shop')).toBe(true);
  });
});

describe('rotation', () => {
  test('replaces a key, which keeps working during the overlap', async () => {
    const { authenticate, keys } = makeAccess();
    const old = await createKey({ role: 'editor', tenantName: 'shop', expiresInSeconds: 3_600 });
    const renewed = await keys.rotate(operator, old.id, 60);
    expect(renewed).toMatchObject({ name: 'robot', tenant: 'shop', role: 'editor', replacedId: old.id });
    expect(renewed.expiresAt).toEqual(old.expiresAt);
    expect((await authenticate.verify(old.text)).keyId).toBe(old.id);
    expect((await authenticate.verify(renewed.text)).keyId).toBe(renewed.id);
    const { expiresAt } = await keys.find(operator, old.id);
    expect((expiresAt?.getTime() ?? 0) - Date.now()).toBeLessThan(61_000);
  });

  test('ends the old key immediately without an overlap', async () => {
    const { authenticate, keys } = makeAccess();
    const old = await createKey();
    await authenticate.verify(old.text);
    await keys.rotate(operator, old.id, 0);
    await expect(authenticate.verify(old.text)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test('rejects a revoked key', async () => {
    const { keys } = makeAccess();
    const { id } = await createKey();
    await keys.revoke(operator, id);
    await expect(keys.rotate(operator, id, 0)).rejects.toMatchObject({ code: 'key_not_active' });
  });
});

test('lists keys page by page, newest first', async () => {
  const { keys } = makeAccess();
  const created = [];
  for (let count = 0; count < 3; count += 1)
    created.push((await createKey({ tenantName: 'paged', name: `key ${count}` })).id);
  const principal = { ...operator, tenantId: (await makeTenantQueries(database).ensure('paged')).id };
  const firstPage = await keys.list(principal, 2);
  const secondPage = await keys.list(principal, 2, firstPage.at(-1)?.id);
  expect([...firstPage, ...secondPage].map(({ id }) => id)).toEqual(created.toReversed());
});
