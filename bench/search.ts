import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { sql } from 'kysely';
import type { Database } from '../src/db/database.ts';
import { selectNearHashes } from '../src/db/images/hash-search.ts';
import { makeQueries, type Queries } from '../src/db/queries.ts';
import { embeddingSpace } from '../src/model/fingerprint.ts';
import { benchDatabaseUrl, makeBackEnd } from './back-end.ts';
import { percentile } from './overload/statistics.ts';
import { addHashes, addVectors, storeRealVectors } from './search/fill.ts';
import { type Curve, drawPlot } from './search/plot.ts';
import { describeSamples } from './search/real-descriptions.ts';
import { flipBits, makeDraw, makeHashes } from './search/synthetic-hashes.ts';

/**
 * Measures the searches on a PostgreSQL server (`BENCH_DATABASE_URL`), without HTTP: hashes within several radii, and similar
 * images, exactly and with an index. Hashes and vectors are drawn around those of 600 drawn products.
 * Run `npm run bench:search -- --hashes 100000,1000000 --exact 20000 --vectors 50000,200000`.
 */

const { values } = parseArgs({
  options: {
    hashes: { type: 'string', default: '50000,200000' },
    radii: { type: 'string', default: '15,20,23,35' },
    exact: { type: 'string', default: '5000,20000' },
    vectors: { type: 'string', default: '50000,100000,200000' },
    queries: { type: 'string', default: '200' },
    plot: { type: 'string' },
  },
});
const toNumbers = (list: string) => list.split(',').filter(Boolean).map(Number);
const queryCount = Number(values.queries);
const resultCount = 10;
const productPictures = 600;
const draw = makeDraw(1);

/** The tenant whose rows are searched, and the sizes to which it grows. */
interface Growth {
  readonly database: Database;
  readonly tenantId: number;
  readonly sizes: readonly number[];
}

async function main(): Promise<number> {
  if (benchDatabaseUrl === undefined) {
    console.error('Set BENCH_DATABASE_URL to the URL of a PostgreSQL server with pgvector.');
    return 1;
  }
  const backEnd = await makeBackEnd();
  const database = await backEnd.open();
  try {
    const queries = makeQueries(database);
    console.log(`Describing ${productPictures} drawn pictures …`);
    const samples = await describeSamples(productPictures);
    const hashes = samples.map(({ fingerprint }) => fingerprint.hash);
    await storeRealVectors(
      database,
      samples.map(({ embedding }) => embedding.vector),
      draw,
    );
    const makeGrowth = async (name: string, sizes: string): Promise<Growth> => {
      const { id } = await queries.tenants.ensure(name);
      return { database, tenantId: id, sizes: toNumbers(sizes) };
    };
    const curves = [
      ...(await measureHashes(await makeGrowth('hashes', values.hashes), hashes)),
      await measureExact(await makeGrowth('exact', values.exact), queries),
      await measureIndex(await makeGrowth('index', values.vectors), queries),
    ];
    if (values.plot !== undefined) await writeFile(values.plot, drawPlot(curves));
    return 0;
  } finally {
    await database.close();
    await backEnd.remove();
  }
}

const colours = ['#9ecae1', '#4292c6', '#2171b5', '#08306b', '#6a51a3'];

async function measureHashes(
  { database, tenantId, sizes }: Growth,
  realHashes: readonly string[],
): Promise<Curve[]> {
  const makeHash = makeHashes(realHashes, draw);
  const curves = toNumbers(values.radii).flatMap((radius) =>
    [1, 5].map((probes) => ({ radius, probes, points: [] as [number, number][] })),
  );
  let stored = 0;
  for (const size of sizes) {
    await addHashes(database, tenantId, stored, size, makeHash);
    stored = size;
    const { rows } = await sql<{ hash: string }>`
      SELECT hash::text AS hash FROM frame_hashes
      WHERE tenant_id = ${tenantId} ORDER BY content_hash LIMIT ${queryCount}`.execute(database.sql);
    const asked = rows.map(({ hash }) => toBytes(hash));
    for (const { radius, probes, points } of curves) {
      const { p50, p95, found } = await measure(asked, async (hash) => {
        const list = Array.from({ length: probes }, () => ({
          frame: 'full' as const,
          hash: flipBits(hash, Math.floor(draw() * radius), draw).toString('hex'),
          maxBits: radius,
        }));
        const result = await selectNearHashes(tenantId, list).execute(database.sql);
        return result.rows.length;
      });
      points.push([size, p95]);
      report(`hashes within ${radius} bits, ${probes} ${probes === 1 ? 'probe' : 'probes'}`, size, p50, p95, {
        found: found.toFixed(1),
      });
    }
  }
  return curves
    .filter(({ probes }) => probes === 1)
    .map(({ radius, points }, index) => ({
      name: `hashes within ${radius} bits`,
      colour: colours[index % colours.length] ?? '#000',
      points,
    }));
}

/** Converts bits (`0101…`) to bytes. */
function toBytes(bits: string): Buffer {
  return Buffer.from(bits.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? []);
}

async function measureExact({ database, tenantId, sizes }: Growth, queries: Queries): Promise<Curve> {
  const points: [number, number][] = [];
  let stored = 0;
  for (const size of sizes) {
    await addVectors(database, tenantId, stored, size);
    stored = size;
    const { p50, p95, complete } = await measureSimilar(database, queries, tenantId);
    points.push([size, p95]);
    report('similar, exact', size, p50, p95, { complete });
  }
  return { name: 'similar images, exact', colour: '#d94801', points };
}

async function measureIndex({ database, tenantId, sizes }: Growth, queries: Queries): Promise<Curve> {
  const points: [number, number][] = [];
  let stored = 0;
  for (const size of sizes) {
    for (const index of await queries.vectorIndexes.list()) await queries.vectorIndexes.remove(index);
    await addVectors(database, tenantId, stored, size);
    stored = size;
    const groups = await queries.vectorIndexes.listLargeGroups(1);
    const group = groups.find((listed) => listed.tenantId === tenantId);
    if (!group) throw new Error('The tenant has no vectors.');
    const startedAt = performance.now();
    await queries.vectorIndexes.build(group);
    const buildSeconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
    const { p50, p95, complete } = await measureSimilar(database, queries, tenantId);
    points.push([size, p95]);
    const recall = await measureRecall(queries, group);
    report('similar, index', size, p50, p95, { complete, recall, 'built in': `${buildSeconds} s` });
  }
  return { name: 'similar images, index', colour: '#238b45', points };
}

/** Measures searches for stored images. `complete` counts the searches that return as many images as were asked for. */
async function measureSimilar(database: Database, { embeddings }: Queries, tenantId: number) {
  const { rows } = await sql<{ hash: string }>`
    SELECT content_hash AS hash FROM embeddings WHERE tenant_id = ${tenantId}
    ORDER BY content_hash LIMIT ${queryCount}`.execute(database.sql);
  let complete = 0;
  const { p50, p95 } = await measure(rows, async ({ hash }) => {
    const options = { limit: resultCount, threshold: 0, metric: 'cosine' } as const;
    const result = await embeddings.findSimilarToContent(tenantId, hash, embeddingSpace, options);
    if (result?.matches.length === resultCount) complete++;
    return result?.matches.length ?? 0;
  });
  return { p50, p95, complete: `${complete}/${rows.length + warmUpCount(rows.length)}` };
}

async function measureRecall(
  { vectorIndexes }: Queries,
  group: { readonly tenantId: number; readonly space: string },
): Promise<string> {
  const indexes = await vectorIndexes.list();
  const index = indexes.find(({ tenantId }) => tenantId === group.tenantId);
  const shares: number[] = [];
  for (const hash of await vectorIndexes.sampleContent(group, 100)) {
    const recall = index && (await vectorIndexes.measureRecall(index, hash, resultCount));
    if (recall !== undefined) shares.push(recall);
  }
  return (shares.reduce((sum, share) => sum + share, 0) / shares.length).toFixed(3);
}

const warmUpCount = (count: number) => Math.min(20, count);

/** Runs `work` for each item, one at a time, after a short warm-up. `found` is the mean of its results. */
async function measure<T>(items: readonly T[], work: (item: T) => Promise<number>) {
  for (const item of items.slice(0, warmUpCount(items.length))) await work(item);
  const times: number[] = [];
  let sum = 0;
  for (const item of items) {
    const startedAt = performance.now();
    sum += await work(item);
    times.push(performance.now() - startedAt);
  }
  return { p50: percentile(times, 0.5), p95: percentile(times, 0.95), found: sum / items.length };
}

function report(name: string, size: number, p50: number, p95: number, details: Record<string, string>): void {
  const rest = Object.entries(details).map(([key, value]) => `${key} ${value}`);
  console.log(
    `${name.padEnd(34)} ${size.toLocaleString('en').padStart(10)}  p50 ${p50.toFixed(1).padStart(6)} ms  p95 ${p95.toFixed(1).padStart(6)} ms  ${rest.join(', ')}`,
  );
}

process.exitCode = await main();
