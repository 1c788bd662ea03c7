import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedDatabase } from '../src/db/engine/embedded.ts';
import { migrate } from '../src/db/engine/migrate.ts';
import { makeQueries } from '../src/db/queries.ts';
import { fillImages } from './fill-images.ts';
import { startVitrine } from './programs.ts';

const imageCount = Number(process.argv[2] ?? 100_000);
const rounds = 100;

interface MeasuredRequest {
  readonly name: string;
  readonly path: string;
  readonly method?: 'GET' | 'POST';
  /** Limit for the 95th percentile, in milliseconds. */
  readonly limitMs: number;
}

const tomorrow = new Date(Date.now() + 864e5).toISOString();
const lastMonth = new Date(Date.now() - 30 * 864e5).toISOString();

/** The requests to measure. The catalog API and the similarity API are two older APIs that Vitrine also serves. */
const requests: readonly MeasuredRequest[] = [
  { name: 'list', path: '/v1/images', limitMs: 50 },
  { name: 'list, 100 per page', path: '/v1/images?limit=100', limitMs: 50 },
  { name: 'list, half-way, by offset', path: `/v1/images?offset=${imageCount / 2}`, limitMs: 50 },
  { name: 'list of a large tenant', path: '/v1/images?tenant=tenant-1', limitMs: 50 },
  { name: 'list of a small tenant', path: '/v1/images?tenant=tenant-7', limitMs: 50 },
  { name: 'list of failed images', path: '/v1/images?status=failed', limitMs: 50 },
  { name: 'list, created before last month', path: `/v1/images?created_before=${lastMonth}`, limitMs: 50 },
  { name: 'list, created before tomorrow', path: `/v1/images?created_before=${tomorrow}`, limitMs: 50 },
  {
    name: 'list of a tenant, before tomorrow',
    path: `/v1/images?tenant=tenant-7&created_before=${tomorrow}`,
    limitMs: 50,
  },
  { name: 'list, white background', path: '/v1/images?background=white', limitMs: 50 },
  {
    name: 'list of a tenant, sharp and upscaled',
    path: '/v1/images?tenant=tenant-1&min_sharpness=90&upscaled=true',
    limitMs: 50,
  },
  { name: 'list of a tenant, no match', path: '/v1/images?tenant=tenant-1&min_fill=1', limitMs: 50 },
  {
    name: 'list of a tenant, with a warning',
    path: '/v1/images?tenant=tenant-1&warning=min_fill',
    limitMs: 50,
  },
  { name: 'list in the similarity API', path: '/api/v1/images/', limitMs: 50 },
  { name: 'jobs', path: '/v1/jobs', limitMs: 50 },
  { name: 'jobs by error', path: '/v1/jobs?state=failed&code=picture_damaged', limitMs: 50 },
  { name: 'purge of unused images, dry run', path: '/v1/purge', method: 'POST', limitMs: 50 },
  { name: 'purge of deleted images, dry run', path: '/v1/purge/deleted', method: 'POST', limitMs: 50 },
  { name: 'purge in the catalog API, dry run', path: '/purge/?days=30', method: 'POST', limitMs: 50 },
  { name: 'catalog API, purge of all, dry run', path: '/purge/?days=0', method: 'POST', limitMs: 50 },
  { name: 'usage', path: '/v1/metrics', limitMs: 20 },
  { name: 'usage of every tenant', path: '/metrics/', limitMs: 20 },
  { name: 'usage of a tenant', path: '/metrics/tenant/tenant-1', limitMs: 20 },
];

/** Measures requests for lists, dry runs and usage over HTTP, with many images in an embedded database. */
async function main(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-lists-'));
  try {
    await fillDatabase(join(folder, 'db'));
    const server = await startVitrine({ DATA_DIR: folder });
    try {
      return await measureAll(server.baseUrl);
    } finally {
      await server.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function fillDatabase(directory: string): Promise<void> {
  console.log(`Filling a database with ${imageCount} images …`);
  const database = await openEmbeddedDatabase(directory);
  await migrate(database);
  await fillImages(database, imageCount);
  await makeQueries(database).usage.foldDeltas();
  await database.close();
}

async function measureAll(baseUrl: string): Promise<number> {
  let slowCount = 0;
  console.log(
    `${'request'.padEnd(36)} ${'p50'.padStart(7)} ${'p95'.padStart(7)}  limit   (ms, ${rounds} rounds)`,
  );
  for (const request of requests) {
    const { p50, p95 } = await measure(baseUrl, request);
    if (p95 > request.limitMs) slowCount++;
    const verdict = p95 > request.limitMs ? '  TOO SLOW' : '';
    console.log(
      `${request.name.padEnd(36)} ${p50.toFixed(1).padStart(7)} ${p95.toFixed(1).padStart(7)}  ${request.limitMs}${verdict}`,
    );
  }
  return slowCount === 0 ? 0 : 1;
}

async function measure(
  baseUrl: string,
  { path, method = 'GET' }: MeasuredRequest,
): Promise<{ p50: number; p95: number }> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const startedAt = performance.now();
    const response = await fetch(baseUrl + path, { method });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`${method} ${path} returned ${response.status}.`);
    times.push(performance.now() - startedAt);
  }
  times.sort((a, b) => a - b);
  const percentile = (fraction: number) => times[Math.ceil(fraction * times.length) - 1] ?? 0;
  return { p50: percentile(0.5), p95: percentile(0.95) };
}

process.exitCode = await main();
