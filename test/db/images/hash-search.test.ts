import * as fc from 'fast-check';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { Queryable } from '../../../src/db/database.ts';
import { bandKeys, bandRadii } from '../../../src/db/images/hash-bands.ts';
import {
  type HashProbe,
  maxProbesPerFrame,
  selectNearHashes,
  upsertFrameHashes,
} from '../../../src/db/images/hash-search.ts';
import { hashFrames } from '../../../src/model/fingerprint.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { runInTenant } from '../../../src/tenant-scope.ts';
import { selectRow, selectRows, useDatabase } from '../../support/inner/database.ts';
import { sha256Hex } from '../../support/inner/records.ts';

const database = await useDatabase();
const { sql: db } = database;
const tenants = makeTenantQueries(database);
const shop = await tenants.ensure('shop');
const rival = await tenants.ensure('rival');

interface StoredHash {
  readonly content: string;
  readonly frame: (typeof hashFrames)[number];
  readonly hash: string;
}

async function store(tenantId: number, hashes: readonly StoredHash[]): Promise<void> {
  for (const [content, group] of Map.groupBy(hashes, ({ content: name }) => name)) {
    const image = sql`(SELECT ${tenantId}::integer AS tenant_id, ${sha256Hex(content)} AS content_hash)`;
    await upsertFrameHashes(image, tenantId, group).execute(db);
  }
}

interface Found {
  readonly content_hash: string;
  readonly probe: number;
  readonly differing_bits: number;
}

async function search(tenantId: number, probes: readonly HashProbe[]): Promise<Found[]> {
  const { rows } = await sql<Found>`
    SELECT * FROM (${selectNearHashes(tenantId, probes)}) near ORDER BY content_hash`.execute(db);
  return rows;
}

function flipBits(hash: string, bits: readonly number[]): string {
  const bytes = Buffer.from(hash, 'hex');
  for (const bit of bits) bytes[bit >> 3]! ^= 0x80 >> (bit & 7);
  return bytes.toString('hex');
}

function countDifferingBits(a: string, b: string): number {
  const bits = (BigInt(`0x${a}`) ^ BigInt(`0x${b}`)).toString(2);
  return bits.replaceAll('0', '').length;
}

/** Compares every stored hash with every probe. */
function searchAll(hashes: readonly StoredHash[], probes: readonly HashProbe[]): Found[] {
  const found = new Map<string, Found>();
  for (const { content, frame, hash } of hashes) {
    for (const [probe, { frame: probedFrame, hash: probedHash, maxBits }] of probes.entries()) {
      const bits = countDifferingBits(hash, probedHash);
      const contentHash = sha256Hex(content);
      const best = found.get(contentHash);
      const isBetter =
        !best || bits < best.differing_bits || (bits === best.differing_bits && probe < best.probe);
      if (frame === probedFrame && bits <= maxBits && isBetter)
        found.set(contentHash, { content_hash: contentHash, probe, differing_bits: bits });
    }
  }
  return [...found.values()].toSorted((a, b) => (a.content_hash < b.content_hash ? -1 : 1));
}

/** Hashes around a few others, as in a catalog whose pictures resemble each other. */
const base = fc.constantFrom(...['vase', 'lamp', '1'].map(sha256Hex), '0'.repeat(64), 'f'.repeat(64));
const skewedHash = fc
  .tuple(base, fc.uniqueArray(fc.nat(255), { maxLength: 40 }))
  .map(([hash, bits]) => flipBits(hash, bits));
const frame = fc.constantFrom(...hashFrames);

test('finds exactly the hashes that a comparison with all hashes finds', async () => {
  const hashes = fc.array(
    fc.record({ content: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'), frame, hash: skewedHash }),
    {
      minLength: 1,
      maxLength: 12,
    },
  );
  const maxBits = fc.oneof(fc.nat(60), fc.constantFrom(0, 11, 12, 15, 20, 23, 24, 35, 47, 48));
  const probes = fc.array(fc.record({ frame, hash: skewedHash, maxBits }), {
    minLength: 1,
    maxLength: maxProbesPerFrame,
  });
  await fc.assert(
    fc.asyncProperty(hashes, probes, async (someHashes, someProbes) => {
      const stored = [...new Map(someHashes.map((hash) => [`${hash.content} ${hash.frame}`, hash])).values()];
      await sql`DELETE FROM frame_hashes`.execute(db);
      await store(shop.id, stored);
      expect(await search(shop.id, someProbes)).toEqual(searchAll(stored, someProbes));
    }),
    { numRuns: 60 },
  );
});

test('bands that may differ in one bit less each would differ in more bits altogether', () => {
  for (let maxBits = 0; maxBits < 64; maxBits++) {
    const bitsOfFarthest = bandRadii(maxBits).reduce((sum, radius) => sum + radius + 1, 0);
    expect(bitsOfFarthest).toBe(maxBits + 1);
  }
});

test('the database computes the same keys', async () => {
  for (const hash of ['vase', 'lamp'].map(sha256Hex)) {
    const row = await selectRow<{ keys: unknown[] }>(
      database,
      `SELECT hash_bands(7, 2, 'x${hash}'::bit(256)) AS keys`,
    );
    expect(row.keys.map(Number)).toEqual(bandKeys(7, { frame: 'core', hash }));
  }
});

test('does not find hashes of other tenants', async () => {
  const hash = sha256Hex('vase');
  const probes = [{ frame: 'full', hash, maxBits: 20 }] as const;
  await store(shop.id, [{ content: 'vase', frame: 'full', hash }]);
  expect(await search(rival.id, probes)).toEqual([]);
  expect(await search(shop.id, probes)).toHaveLength(1);
  expect(await runInTenant(rival.id, () => search(shop.id, probes))).toEqual([]);
  expect(await runInTenant(shop.id, () => search(shop.id, probes))).toHaveLength(1);
});

test('replaces a hash that has changed', async () => {
  const [before, after] = [sha256Hex('before'), sha256Hex('after')];
  for (const hash of [before, after]) await store(shop.id, [{ content: 'vase', frame: 'core', hash }]);
  expect(await search(shop.id, [{ frame: 'core', hash: before, maxBits: 20 }])).toEqual([]);
  expect(await search(shop.id, [{ frame: 'core', hash: after, maxBits: 20 }])).toMatchObject([
    { differing_bits: 0 },
  ]);
  expect(await selectRows(database, 'SELECT 1 FROM frame_hashes')).toHaveLength(1);
});

test('rejects more probes of a frame than the search can compare', () => {
  const probe = { frame: 'full', hash: sha256Hex('vase'), maxBits: 20 } as const;
  const probes = Array.from({ length: maxProbesPerFrame + 1 }, () => probe);
  expect(() => selectNearHashes(shop.id, probes)).toThrow(RangeError);
});

test('reads only index entries, whatever the planner believes', async () => {
  await database.runScript(`
    INSERT INTO frame_hashes (tenant_id, content_hash, frame, hash, bands)
    SELECT ${shop.id}, encode(sha256(n::text::bytea), 'hex'), 0, hash, hash_bands(${shop.id}, 0, hash)
    FROM (SELECT n, ('x' || encode(sha256(n::text::bytea), 'hex'))::bit(256) AS hash
      FROM generate_series(1, 2000) n) hashes`);
  const probes = hashFrames.map((name) => ({ frame: name, hash: sha256Hex('77'), maxBits: 35 }));
  for (const tenantId of [null, shop.id]) {
    const scans = await runInTenant(tenantId, () =>
      db.transaction().execute(async (transaction) => {
        const before = await countReads(transaction);
        const found = await sql`SELECT * FROM (${selectNearHashes(shop.id, probes)}) near`.execute(
          transaction,
        );
        expect(found.rows).toHaveLength(1);
        const after = await countReads(transaction);
        return { scans: after.scans - before.scans, rows: after.rows - before.rows };
      }),
    );
    expect(scans.scans).toBe(0);
    expect(scans.rows).toBeLessThan(500);
  }
});

/** Returns what the connection has read of `frame_hashes`: the sequential scans and the rows. It includes earlier transactions. */
async function countReads(transaction: Queryable): Promise<{ scans: number; rows: number }> {
  const { rows } = await sql<{ scans: number; rows: number }>`
    SELECT seq_scan AS scans, seq_tup_read + idx_tup_fetch AS rows FROM pg_stat_xact_user_tables
    WHERE relname = 'frame_hashes'`.execute(transaction);
  return rows[0] ?? { scans: 0, rows: 0 };
}
