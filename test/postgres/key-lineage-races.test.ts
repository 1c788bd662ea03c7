import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeQueries } from '../../src/db/queries.ts';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { selectRow } from '../support/inner/database.ts';
import { openTestServerDatabase } from '../support/inner/server-database.ts';

const makeId = () => randomBytes(8).toString('hex');

function makeReplacement(issuerId: string | null) {
  const actor = { ...unrestrictedPrincipal, subject: `key ${issuerId}`, keyId: issuerId };
  return { id: makeId(), secretId: 'secret', hash: randomBytes(32), actor };
}

const makeKey = (issuerId: string | null) => ({
  ...makeReplacement(issuerId),
  name: 'key',
  tenantId: null,
  role: 'admin' as const,
  scopes: [],
  expiresInSeconds: null,
});

test('revokes a key with all its descendants while they create and rotate further keys', async () => {
  const { database } = await openTestServerDatabase();
  const { apiKeys } = makeQueries(database);
  const countActive = async () =>
    (
      await selectRow<{ count: number }>(
        database,
        'SELECT count(*) AS count FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())',
      )
    ).count;

  /** Creates and rotates keys until the lineage has been revoked, at most 100. Returns how many it made. */
  async function extendLineage(rootId: string): Promise<number> {
    const ids = [rootId];
    while (ids.length < 100) {
      const issuerId = ids[Math.floor(Math.random() * ids.length)]!;
      const key = makeKey(issuerId);
      const isRotation = ids.length % 4 === 0;
      const { outcome } = isRotation
        ? await apiKeys.replace(issuerId, makeReplacement(issuerId), 0)
        : await apiKeys.insert(key);
      if (outcome !== 'issued' && !(await isActive(rootId))) return ids.length - 1;
      if (outcome === 'issued' && !isRotation) ids.push(key.id);
    }
    return ids.length - 1;
  }

  async function isActive(id: string): Promise<boolean> {
    return (await apiKeys.find(unrestrictedPrincipal, id))?.revokedAt === null;
  }

  for (let round = 0; round < 5; round += 1) {
    const root = makeKey(null);
    expect(await apiKeys.insert(root)).toMatchObject({ outcome: 'issued' });
    const writers = [1, 2, 3].map(() => extendLineage(root.id));
    while ((await countActive()) < 10) await new Promise((resolve) => setTimeout(resolve, 5));
    const revocation = await apiKeys.revokeWithDescendants(unrestrictedPrincipal, root.id);
    expect(revocation?.revoked).toContainEqual({ id: root.id, name: 'key' });
    const counts = await Promise.all(writers);
    expect(Math.max(...counts)).toBeGreaterThan(2);
    expect(await countActive()).toBe(0);
  }
});

test('replaces a key once, even if several rotations begin at the same time', async () => {
  const { database } = await openTestServerDatabase();
  const { apiKeys } = makeQueries(database);
  const key = makeKey(null);
  await apiKeys.insert(key);
  const results = await Promise.all(
    Array.from({ length: 8 }, () => apiKeys.replace(key.id, makeReplacement(null), 60)),
  );
  expect(results.filter(({ outcome }) => outcome === 'issued')).toHaveLength(1);
  expect(results.filter(({ outcome }) => outcome === 'replaced-before')).toHaveLength(7);
});
