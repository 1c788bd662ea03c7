import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { Queryable } from '../../../src/db/database.ts';
import { lockContent, lockImageFiles } from '../../../src/db/images/content-lock.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { useDatabase } from '../../support/inner/database.ts';
import { sha256Hex } from '../../support/inner/records.ts';

const database = await useDatabase();
const { id: tenantId } = await makeTenantQueries(database).ensure('shop');
const catalog = makeCatalog(database, tenantId);

/** Takes locks in a transaction. Returns the advisory locks that it holds then, as `tenant/content`. */
function locksAfter(takeLocks: (transaction: Queryable) => Promise<unknown>): Promise<string[]> {
  return database.sql.transaction().execute(async (transaction) => {
    await takeLocks(transaction);
    const { rows } = await sql<{ lock: string }>`
      SELECT classid || '/' || objid AS lock FROM pg_locks
      WHERE locktype = 'advisory' AND objsubid = 2 AND pid = pg_backend_pid() AND granted ORDER BY 1`.execute(
      transaction,
    );
    return rows.map(({ lock }) => lock);
  });
}

const lockOf = (contentHash: string) =>
  locksAfter((transaction) => lockContent(transaction, tenantId, contentHash));

/** Returns a content whose hash starts with this digit. */
function contentStartingWith(digit: string): string {
  for (let index = 0; ; index++) {
    const content = `${digit} ${index}`;
    if (sha256Hex(content).startsWith(digit)) return content;
  }
}

test('takes the same lock through an image, a rendition file and a hash, whatever the first digit of the hash is', async () => {
  for (const digit of '0123456789abcdef') {
    const content = contentStartingWith(digit);
    const contentHash = sha256Hex(content);
    const expected = await lockOf(contentHash);
    expect(expected).toEqual([`${tenantId}/${Number.parseInt(contentHash.slice(0, 8), 16) % 2 ** 31}`]);
    expect(
      await locksAfter((transaction) => lockImageFiles(transaction, [], [{ tenantId, contentHash }])),
    ).toEqual(expected);

    const ownerId = await catalog.add(content);
    const sharerId = await catalog.addSharer(`sharer ${digit}`, ownerId);
    expect(await locksAfter((transaction) => lockImageFiles(transaction, [ownerId]))).toEqual(expected);
    // The sharing image locks its own content, and that of the image whose files it uses.
    const ofSharer = await locksAfter((transaction) => lockImageFiles(transaction, [sharerId]));
    expect(ofSharer).toEqual([...expected, ...(await lockOf(sha256Hex(`sharer ${digit}`)))].toSorted());
    expect(await locksAfter((transaction) => lockImageFiles(transaction, [ownerId, sharerId]))).toEqual(
      ofSharer,
    );
  }
});

test('takes the extreme keys, and takes one lock for hashes that have the same key', async () => {
  const hashes = ['00000000', '7fffffff', '80000000', 'ffffffff'].map((start) => start + '0'.repeat(56));
  const contents = hashes.map((contentHash) => ({ tenantId, contentHash }));
  expect(await Promise.all(hashes.map(lockOf))).toEqual([
    [`${tenantId}/0`],
    [`${tenantId}/2147483647`],
    [`${tenantId}/0`],
    [`${tenantId}/2147483647`],
  ]);
  expect(await locksAfter((transaction) => lockImageFiles(transaction, [], contents))).toEqual(
    [`${tenantId}/0`, `${tenantId}/2147483647`].toSorted(),
  );
});

test('does not lock anything through a file name that contains no hash', async () => {
  const imageId = await catalog.add('vase');
  const expected = await lockOf(sha256Hex('vase'));
  const hash = sha256Hex('other');
  for (const name of [
    `${hash.toUpperCase()}-card.jpg`,
    `${hash.slice(1)}-card.jpg`,
    `${hash}.card.jpg`,
    '-',
  ]) {
    await database.runScript(`UPDATE renditions SET storage_key = 'x/${name}' WHERE preset = 'card'`);
    expect(await locksAfter((transaction) => lockImageFiles(transaction, [imageId])), name).toEqual(expected);
  }
  await database.runScript(`UPDATE renditions SET storage_key = 'x/${hash}-card.jpg' WHERE preset = 'card'`);
  expect(await locksAfter((transaction) => lockImageFiles(transaction, [imageId]))).toHaveLength(2);
});
