import { systemPrincipal } from '../src/model/principal.ts';
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { Database } from '../src/db/database.ts';
import { makeQueries, type Queries } from '../src/db/queries.ts';
import { embeddingDimension, embeddingSpace, fingerprintVersion } from '../src/model/fingerprint.ts';
import type { PictureFacts } from '../src/model/picture.ts';
import { originalKey, renditionKey } from '../src/storage/keys.ts';
import { benchDatabaseUrl, makeBackEnd } from './back-end.ts';
import { fillImages } from './fill-images.ts';
import { median } from './upload.ts';
import { intakeFacts } from '../test/support/inner/records.ts';

/**
 * Measures only the database, without pictures: images recorded per second, bytes per image, and the duration of a
 * similarity search. Run `npm run bench:rows -- --images 100000`. If `BENCH_DATABASE_URL` is set, the benchmark uses
 * that PostgreSQL server.
 */

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '100000' },
    add: { type: 'string', default: '4000' },
    concurrency: { type: 'string', default: '8' },
  },
});
const [existingCount, addedCount, concurrency] = [values.images, values.add, values.concurrency].map(
  Number,
) as [number, number, number];

const facts: PictureFacts = {
  format: 'jpeg',
  width: 1200,
  height: 1500,
  frames: 1,
  colorSpace: 'RGB',
  hasAlpha: false,
  bitDepth: 8,
};

async function main(): Promise<number> {
  const backEnd = await makeBackEnd();
  const database = await backEnd.open();
  try {
    console.log(`Filling a database with ${existingCount} images …`);
    await fillImages(database, existingCount);
    const queries = makeQueries(database);
    await queries.usage.foldDeltas();
    console.log(benchDatabaseUrl === undefined ? 'embedded database' : 'PostgreSQL server');
    await reportSizes(database);
    await reportSearch(queries);
    await reportIngest(database, queries);
    return 0;
  } finally {
    await database.close();
    await backEnd.remove();
  }
}

async function reportSizes(database: Database): Promise<void> {
  await database.session(async (run) => {
    const rows = await run(`SELECT relname AS name, pg_total_relation_size(oid) AS bytes FROM pg_class
      WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC LIMIT 6`);
    const total = rows.reduce((sum, { bytes }) => sum + Number(bytes), 0);
    console.log(`bytes of rows and indexes per image: ${Math.round(total / existingCount)}`);
    for (const { name, bytes } of rows)
      console.log(`  ${String(name).padEnd(18)} ${Math.round(Number(bytes) / existingCount)}`);
  });
}

/** Measures a search in the largest tenant, which has half of all images. */
async function reportSearch({ embeddings, tenants }: Queries): Promise<void> {
  const { id } = await tenants.ensure('tenant-1');
  const vector = Array.from({ length: embeddingDimension }, (_, index) => Math.sin(index * 7.3));
  const times: number[] = [];
  let searchedCount = 0;
  for (let round = 0; round < 10; round++) {
    const startedAt = performance.now();
    ({ searchedCount } = await embeddings.findSimilarToPicture(id, { space: embeddingSpace, vector }, '', {
      limit: 10,
      threshold: 0,
      metric: 'cosine',
    }));
    times.push(performance.now() - startedAt);
  }
  console.log(`search among ${searchedCount} images: ${median(times).toFixed(0)} ms`);
}

async function reportIngest(database: Database, queries: Queries): Promise<void> {
  const { id } = await queries.tenants.ensure('tenant-1');
  const numbers = Array.from({ length: addedCount }, (_, index) => index).values();
  const startPosition = await readLogPosition(database);
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (const number of numbers) await ingest(queries, id, `added ${number}`);
    }),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  const writtenBytes = (await readLogPosition(database)) - startPosition;
  console.log(
    `${(addedCount / seconds).toFixed(0)} images/s recorded and completed, ${concurrency} concurrently; ${Math.round(writtenBytes / addedCount)} bytes of write-ahead log per image`,
  );
}

async function readLogPosition(database: Database): Promise<number> {
  const [row] = await database.session((run) =>
    run("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS position"),
  );
  return Number(row?.['position']);
}

/** Runs all statements of an inline upload. */
async function ingest(queries: Queries, tenantId: number, content: string): Promise<void> {
  const bytes = createHash('sha256').update(content).digest();
  const contentHash = bytes.toString('hex');
  await queries.images.findByContent(tenantId, contentHash);
  const upload = await queries.jobs.enqueueUpload({
    actor: systemPrincipal,
    tenantId,
    contentHash,
    filename: 'bench.jpg',
    originalKey: originalKey(tenantId, contentHash),
    bytes: 200_000,
    facts,
    priority: 10,
    leaseSeconds: 60,
  });
  if (upload.outcome === 'known') return;
  const fingerprint = {
    version: fingerprintVersion,
    hash: contentHash,
    quality: 90,
    aspect: 0.8,
    thumbnail: Buffer.alloc(3072, bytes).toString('base64'),
    frameHashes: [{ frame: 'full' as const, hash: contentHash }],
    probes: [],
  };
  const probes = [{ frame: 'full' as const, hash: contentHash, maxBits: 24 }];
  await queries.fingerprints.findNeighbours(tenantId, probes, contentHash);
  const vector = Array.from({ length: embeddingDimension }, (_, index) => (bytes[index % 32] ?? 0) / 255);
  await queries.jobs.complete(upload.job, makeRenditions(tenantId, contentHash), {
    fingerprint,
    embedding: { space: embeddingSpace, vector },
    keptMetadata: '',
    intakeFacts,
    warnings: [],
    nearDuplicates: [],
  });
  await queries.fingerprints.findNeighbours(tenantId, probes, contentHash);
}

function makeRenditions(tenantId: number, contentHash: string) {
  return (['thumb', 'card', 'zoom'] as const).map((preset) => ({
    preset,
    density: 1,
    isListed: true,
    isOnRequest: false,
    recipe: '0123456789',
    storageKey: renditionKey(tenantId, contentHash, preset, '0123456789'),
    contentHash,
    bytes: 50_000,
    width: 100,
    height: 100,
    quality: 85,
    format: 'jpeg' as const,
  }));
}

process.exitCode = await main();
