import type { Database } from '../src/db/database.ts';
import type { GroupFilter } from '../src/db/duplicates/groups.ts';
import { makeQueries } from '../src/db/queries.ts';
import { unrestrictedPrincipal } from '../src/model/principal.ts';
import { makeBackEnd } from './back-end.ts';

/**
 * Measures pages of groups of duplicates, with 400,000 groups of two or three images. Half of the groups belong to one tenant.
 * The argument is the number of groups. Run `BENCH_DATABASE_URL=postgres://… npm run bench:duplicates` for PostgreSQL.
 */

const groupCount = Number(process.argv[2] ?? 400_000);
const rounds = 100;
const limitMs = 20;

/** Each group has three numbers, of which every second group uses only two. The triggers are off, because they are not what is measured. */
const statements = [
  `INSERT INTO tenants (name) SELECT 'tenant-' || n FROM generate_series(1, 20) n`,
  `ALTER TABLE near_duplicates DISABLE TRIGGER USER`,
  `ALTER TABLE images DISABLE TRIGGER USER`,
  `INSERT INTO images (id, uuid, tenant_id, status, content_hash, original_filename, original_bytes, width, height, format)
   OVERRIDING SYSTEM VALUE
   SELECT 3 * g + k, gen_random_uuid(), CASE WHEN g % 2 = 0 THEN 1 ELSE 2 + (g / 2) % 19 END, 'completed',
     encode(sha256((3 * g + k)::text::bytea), 'hex'), 'product.jpg', 100000, 1200, 1500, 'jpeg'
   FROM generate_series(1, ${groupCount}) g, generate_series(0, 2) k WHERE k < 2 OR g % 4 < 2`,
  `INSERT INTO near_duplicates (image_id, match_id, tier, distance, difference, reason)
   SELECT id, id - id % 3, (ARRAY['identical', 'reencoded', 'edited', 'possible', 'variant'])[1 + id / 3 % 5], 1, 1, 'alike'
   FROM images WHERE id % 3 > 0`,
  `INSERT INTO duplicate_groups (tenant_id, kind, representative_id, tier, size)
   SELECT i.tenant_id, duplicate_kind(min(n.shown_tier)), n.match_id, min(n.shown_tier), 1 + count(*)
   FROM near_duplicates n JOIN images i ON i.id = n.match_id GROUP BY n.match_id, i.tenant_id ORDER BY n.match_id`,
  `INSERT INTO duplicate_members (image_id, kind, group_id, tenant_id)
   SELECT i.id, g.kind, g.id, g.tenant_id FROM duplicate_groups g JOIN images i ON i.id BETWEEN g.representative_id AND g.representative_id + 2`,
  `ALTER TABLE near_duplicates ENABLE TRIGGER USER`,
  `ALTER TABLE images ENABLE TRIGGER USER`,
  'VACUUM (ANALYZE)',
];

const halfway = Math.round(groupCount / 2);
const pages: readonly (readonly [string, GroupFilter, number?])[] = [
  ['first page of all tenants', {}],
  ['half-way', {}, halfway],
  ['near the end', {}, 100],
  ['first page of a large tenant', { tenant: 'tenant-1' }],
  ['half-way, large tenant', { tenant: 'tenant-1' }, halfway],
  ['half-way, small tenant', { tenant: 'tenant-7' }, halfway],
  ['half-way, one tier', { tier: 'identical' }, halfway],
  ['half-way, one tier of a tenant', { tenant: 'tenant-1', tier: 'variant' }, halfway],
  ['tenant without groups', { tenant: 'tenant-99' }],
];

async function main(): Promise<number> {
  const backEnd = await makeBackEnd();
  try {
    const database = await backEnd.open();
    console.log(`Filling a database with ${groupCount} groups …`);
    await database.session(async (run) => {
      await run('SET statement_timeout = 0');
      for (const statement of statements) await run(statement);
    });
    const slowPages = await measureAll(database);
    await database.close();
    return slowPages === 0 ? 0 : 1;
  } finally {
    await backEnd.remove();
  }
}

async function measureAll(database: Database): Promise<number> {
  const { duplicateGroups, images } = makeQueries(database);
  console.log(
    `${'page of 100 groups'.padEnd(34)} ${'p50'.padStart(6)} ${'p95'.padStart(6)}  limit   (ms, ${rounds} rounds)`,
  );
  let slowPages = 0;
  for (const [name, filter, after] of pages) {
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const startedAt = performance.now();
      const { groups } = await duplicateGroups.list(unrestrictedPrincipal, filter, { limit: 100, after });
      await images.listByIds(
        unrestrictedPrincipal,
        groups.flatMap(({ members }) => members.map(({ image }) => image)),
      );
      times.push(performance.now() - startedAt);
    }
    times.sort((a, b) => a - b);
    const [p50 = 0, p95 = 0] = [0.5, 0.95].map((fraction) => times[Math.ceil(fraction * rounds) - 1]);
    if (p95 > limitMs) slowPages++;
    console.log(
      `${name.padEnd(34)} ${p50.toFixed(1).padStart(6)} ${p95.toFixed(1).padStart(6)}  ${limitMs}${p95 > limitMs ? '  TOO SLOW' : ''}`,
    );
  }
  return slowPages;
}

process.exitCode = await main();
