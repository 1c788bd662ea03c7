import { describe, expect, test } from 'vitest';
import { makeApiKeyQueries } from '../../../src/db/api-keys.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { type Principal, systemPrincipal } from '../../../src/model/principal.ts';
import { type ApiKeyRequest, makeApiKeys } from '../../../src/services/access/api-keys.ts';
import { makeAuthenticate } from '../../../src/services/access/authenticate.ts';
import { makeSecretRing } from '../../../src/services/access/secret-ring.ts';
import { runInTenant } from '../../../src/tenant-scope.ts';
import { selectRow, useDatabase } from '../../support/inner/database.ts';
import { makeRecordingLogger } from '../../support/inner/logger.ts';

const database = await useDatabase();
const ring = makeSecretRing(['s'.repeat(32)]);
const operator: Principal = { ...systemPrincipal, subject: 'operator' };

function makeAccess() {
  const apiKeys = makeApiKeyQueries(database);
  const logger = makeRecordingLogger();
  const authenticate = makeAuthenticate({ apiKeys, ring, operatorKeys: [], logger });
  const tenants = makeTenantQueries(database);
  return { authenticate, keys: makeApiKeys({ apiKeys, tenants, ring, authenticate, logger }) };
}

const { authenticate, keys } = makeAccess();

/** Creates an admin key, unless the request says otherwise. */
async function create(creator: Principal = operator, request: Partial<ApiKeyRequest> = {}) {
  const key = await keys.create(creator, { name: 'test', role: 'admin', ...request });
  return { ...key, principal: await authenticate.verify(key.text) };
}

const isRejected = (text: string) =>
  makeAccess()
    .authenticate.verify(text)
    .then(
      () => false,
      (error: { code?: string }) => error.code === 'unauthenticated',
    );

describe('a key that expires', () => {
  test('creates keys that expire with it by default', async () => {
    const creator = await create(operator, { expiresInSeconds: 60 });
    const created = await create(creator.principal);
    expect(created.expiresAt).toEqual(creator.expiresAt);
    const earlier = await create(creator.principal, { expiresInSeconds: 30 });
    expect(Number(earlier.expiresAt)).toBeLessThan(Number(creator.expiresAt));
  });

  test('cannot create a key that outlives it', async () => {
    const { principal } = await create(operator, { expiresInSeconds: 60 });
    await expect(create(principal, { name: 'outliving', expiresInSeconds: 3_600 })).rejects.toMatchObject({
      code: 'key_exceeds_caller',
      message: expect.stringMatching(
        /expires in (?:5\d|60) seconds, so "expires_in" may be at most (?:5\d|60)\. /,
      ),
    });
    expect((await keys.list(operator, 100)).map(({ name }) => name)).not.toContain('outliving');
  });

  test('cannot rotate a key that outlives it, but itself', async () => {
    const creator = await create(operator, { expiresInSeconds: 60 });
    for (const expiresInSeconds of [undefined, 3_600]) {
      const other = await create(operator, { expiresInSeconds });
      await expect(keys.rotate(creator.principal, other.id, 0)).rejects.toMatchObject({
        code: 'key_exceeds_caller',
        message: expect.stringContaining('cannot rotate a key that outlives it'),
      });
      const { expiresAt } = await keys.find(operator, other.id);
      expect(expiresAt, 'the old key must not change').toEqual(other.expiresAt);
    }
    const rotated = await keys.rotate(creator.principal, creator.id, 30);
    expect(rotated.expiresAt).toEqual(creator.expiresAt);
  });

  test('has created keys that work after it has expired', async () => {
    const creator = await create(operator, { expiresInSeconds: 60 });
    const created = await create(creator.principal);
    await database.runScript(`UPDATE api_keys SET expires_at = now() WHERE id = '${creator.id}'`);
    expect(await isRejected(creator.text)).toBe(true);
    expect(await isRejected(created.text)).toBe(false);
  });
});

test('a key that does not expire creates and rotates any key', async () => {
  const { principal } = await create();
  expect((await create(principal)).expiresAt).toBeNull();
  const long = await create(principal, { expiresInSeconds: 86_400 });
  expect((await keys.rotate(principal, long.id, 0)).expiresAt).toEqual(long.expiresAt);
});

test.each(['revoked_at', 'expires_at'])(
  'a process that still trusts a key creates and rotates none with it: %s',
  async (column) => {
    const { id, principal } = await create();
    const other = await create();
    await database.runScript(`UPDATE api_keys SET ${column} = now() WHERE id = '${id}'`);
    await expect(create(principal)).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(keys.rotate(principal, other.id, 0)).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(await isRejected(other.text)).toBe(false);
  },
);

test('a key is rotated once, so that no replacement gets the expiry of the overlap', async () => {
  const old = await create(operator, { expiresInSeconds: 86_400 });
  const replacement = await keys.rotate(operator, old.id, 60);
  expect(replacement.expiresAt).toEqual(old.expiresAt);
  const rotateAgain = () => keys.rotate(operator, old.id, 60);
  const error = {
    code: 'key_replaced',
    status: 409,
    message: expect.stringContaining(`already replaced by ${replacement.id}; rotate that one`),
  };
  await expect(rotateAgain()).rejects.toMatchObject(error);
  // After the overlap, too.
  await database.runScript(`UPDATE api_keys SET expires_at = now() WHERE id = '${old.id}'`);
  await expect(rotateAgain()).rejects.toMatchObject(error);
  const audited = await selectRow(
    database,
    `SELECT count(*) AS count, min(details::text)::jsonb AS details FROM audit_log
     WHERE action = 'key.rotate' AND target = '${old.id}'`,
  );
  expect(audited).toEqual({
    count: 1,
    details: { replaced_by: replacement.id, overlap: 60, expires_at: old.expiresAt?.toISOString() },
  });
  const created = await selectRow<{ details: object }>(
    database,
    `SELECT details FROM audit_log WHERE action = 'key.create' AND target = '${old.id}'`,
  );
  expect(created.details).toMatchObject({ name: 'test', expires_at: old.expiresAt?.toISOString() });
  const renewed = await keys.rotate(operator, replacement.id, 60);
  expect(renewed.expiresAt).toEqual(old.expiresAt);
});

test('says whether the tenant of a key is new', async () => {
  expect((await create(operator, { tenantName: 'Case' })).isTenantNew).toBe(true);
  expect((await create(operator, { tenantName: 'Case' })).isTenantNew).toBe(false);
  expect((await create(operator, { tenantName: 'case' })).isTenantNew).toBe(true);
  expect((await create()).isTenantNew).toBe(false);
});

describe('a revocation', () => {
  test('of one key leaves the keys that it created, and counts those that work', async () => {
    const creator = await create(operator, { name: 'creator' });
    const created = await create(creator.principal);
    const ended = await create(created.principal);
    const replacement = await keys.rotate(creator.principal, creator.id, 60);
    await keys.revoke(operator, ended.id);
    expect(await keys.revoke(operator, creator.id)).toEqual({
      revoked: [{ id: creator.id, name: 'creator' }],
      activeDescendants: 2,
    });
    for (const { text } of [created, replacement]) expect(await isRejected(text)).toBe(false);
    await keys.revoke(operator, replacement.id);
    expect(await keys.revoke(operator, creator.id)).toEqual({ revoked: [], activeDescendants: 1 });
  });

  test('with descendants ends every key that was created or rotated from a key or with it', async () => {
    const ancestor = await create();
    const stolen = await create(ancestor.principal);
    const sibling = await create(ancestor.principal);
    const untouched = await create(ancestor.principal);
    const child = await create(stolen.principal, { tenantName: 'shop' });
    const grandchild = await create(child.principal);
    const rotatedChild = await keys.rotate(ancestor.principal, grandchild.id, 60);
    const rotatedSibling = await keys.rotate(stolen.principal, sibling.id, 60);
    const ofSibling = await create(await authenticate.verify(rotatedSibling.text));
    const renewed = await keys.rotate(operator, stolen.id, 60);
    await keys.revoke(operator, child.id);

    const { revoked, activeDescendants } = await keys.revokeWithDescendants(operator, stolen.id);
    const revokedIds = revoked.map(({ id }) => id);
    expect(activeDescendants).toBe(0);
    const expected = [stolen, grandchild, renewed, rotatedChild, rotatedSibling, ofSibling];
    expect(revokedIds.toSorted()).toEqual(expected.map(({ id }) => id).toSorted());
    for (const { text } of [...expected, child]) {
      expect(authenticate.cached(text)).toBeUndefined();
      expect(await isRejected(text)).toBe(true);
    }
    for (const { text } of [ancestor, untouched, sibling]) expect(await isRejected(text)).toBe(false);
    const audited = await selectRow(
      database,
      `SELECT array_agg(target ORDER BY target) AS targets FROM audit_log
       WHERE action = 'key.revoke' AND actor = 'operator' AND target = ANY ('{${revokedIds.join(',')}}')`,
    );
    expect(audited).toEqual({ targets: revokedIds.toSorted() });
    expect((await keys.revokeWithDescendants(operator, stolen.id)).revoked).toEqual([]);
  });

  test('with descendants is limited to the tenant of the caller', async () => {
    const { principal } = await create(operator, { tenantName: 'shop' });
    const rival = await create(operator, { tenantName: 'rival' });
    const revoke = (id: string) =>
      runInTenant(principal.tenantId, () => keys.revokeWithDescendants(principal, id));
    await expect(revoke(rival.id)).rejects.toMatchObject({ code: 'key_not_found' });
    const own = await create(principal);
    expect((await revoke(own.id)).revoked).toEqual([{ id: own.id, name: 'test' }]);
  });

  test('needs no more scopes than the right to manage keys', async () => {
    const admin = await create(operator, { tenantName: 'shop' });
    const { principal } = await create(operator, {
      tenantName: 'shop',
      role: undefined,
      scopes: ['keys.manage'],
    });
    await expect(keys.rotate(principal, admin.id, 0)).rejects.toMatchObject({ code: 'key_exceeds_caller' });
    await keys.revoke(principal, admin.id);
    expect(await isRejected(admin.text)).toBe(true);
  });
});
