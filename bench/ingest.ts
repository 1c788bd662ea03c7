import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runParallel } from '../src/cli/import/run-parallel.ts';
import { addComment } from '../test/support/process/pictures.ts';
import { makeBackEnd } from './back-end.ts';
import { percentile } from './overload/statistics.ts';
import { drawPictures } from './pictures.ts';
import { type CpuUsage, readCpuUsage, readMemoryUsage, readPeakMemory } from './process-usage.ts';
import { startVitrine } from './programs.ts';
import { uploadPatiently } from './upload.ts';

/**
 * Uploads pictures and prints the CPU time per image: of the thread that serves, of the embedded database, of the server's other
 * threads and of the decoders, and the memory. Run `npm run bench:ingest`. `-- --folder DIR` uploads your own JPEG files
 * instead of drawn pictures. If `BENCH_DATABASE_URL` is set, the server uses that PostgreSQL server, whose CPU time is not
 * included. Reads `/proc`, so it needs Linux.
 */

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '240' },
    warm: { type: 'string', default: '48' },
    concurrency: { type: 'string', default: '4' },
    folder: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const imageCount = Number(values.images);
const warmUpCount = Number(values.warm);

/** More pictures are not drawn; they are repeated with another comment, so that their bytes differ. */
const maxPictures = 240;

async function main(): Promise<void> {
  const pictures = await loadPictures();
  const backEnd = await makeBackEnd();
  // Creating the database is not part of ingest.
  await (await backEnd.open()).close();
  // No picture may skip its renditions.
  const server = await startVitrine({ ...backEnd.environment, NEAR_DUPLICATES: 'flag', AUTH: 'open' });
  try {
    const nextPicture = makePictureSource(pictures);
    await uploadAll(server.baseUrl, nextPicture, warmUpCount);
    const before = readCpuUsage(server.pid);
    const startedAt = performance.now();
    const times = await uploadAll(server.baseUrl, nextPicture, imageCount);
    const seconds = (performance.now() - startedAt) / 1_000;
    const usage = perImage(before, readCpuUsage(server.pid));
    const memory = { ...readMemoryUsage(server.pid), peak: readPeakMemory(server.pid) };
    const result = {
      images: imageCount,
      rate: imageCount / seconds,
      p95: percentile(times, 0.95),
      usage,
      memory,
    };
    console.log(values.json ? JSON.stringify(result) : describe(result));
  } finally {
    await server.stop();
    await backEnd.remove();
  }
}

async function loadPictures(): Promise<Buffer[]> {
  const { folder } = values;
  if (folder === undefined) return drawPictures(Math.min(imageCount, maxPictures));
  const names = (await readdir(folder)).filter((name) => /\.jpe?g$/i.test(name)).toSorted();
  return Promise.all(names.slice(0, maxPictures).map((name) => readFile(join(folder, name))));
}

/** Returns a function that returns a file with different bytes each time. */
function makePictureSource(pictures: readonly Buffer[]): () => Buffer {
  let count = 0;
  return () => {
    const picture = pictures[count % pictures.length] ?? Buffer.alloc(0);
    return addComment(picture, `picture ${count++}`);
  };
}

/** Uploads `count` pictures. Returns the response times, in milliseconds. */
async function uploadAll(baseUrl: string, nextPicture: () => Buffer, count: number): Promise<number[]> {
  const times: number[] = [];
  await runParallel(
    Array.from({ length: count }),
    Number(values.concurrency),
    () => false,
    async () => {
      times.push((await uploadPatiently(baseUrl, '/v1/images', nextPicture(), 'bench')).ms);
    },
  );
  return times;
}

/** CPU time per image, in milliseconds. */
interface ImageUsage {
  readonly serving: number;
  readonly database: number;
  readonly otherThreads: number;
  readonly decoders: number;
}

function perImage(before: CpuUsage, after: CpuUsage): ImageUsage {
  const threadMs = (isIncluded: (name: string) => boolean) => {
    const sum = ({ threads }: CpuUsage) =>
      [...threads].reduce((total, [name, ms]) => total + (isIncluded(name) ? ms : 0), 0);
    return (sum(after) - sum(before)) / imageCount;
  };
  const [serving, database] = ['MainThread', 'database'];
  return {
    serving: threadMs((name) => name === serving),
    database: threadMs((name) => name === database),
    otherThreads: threadMs((name) => name !== serving && name !== database),
    decoders: (after.children - before.children) / imageCount,
  };
}

interface Result {
  readonly images: number;
  readonly rate: number;
  readonly p95: number;
  readonly usage: ImageUsage;
  readonly memory: { readonly server: number; readonly children: number; readonly peak: number };
}

function describe({ images, rate, p95, usage, memory }: Result): string {
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  return [
    `${images} images, ${rate.toFixed(1)} per second, p95 ${p95.toFixed(0)} ms`,
    `CPU per image: thread that serves ${ms(usage.serving)}, database thread ${ms(usage.database)}, other threads of the server ${ms(usage.otherThreads)}, decoders ${ms(usage.decoders)}`,
    `memory: server ${memory.server.toFixed(0)} MiB (peak ${memory.peak.toFixed(0)}), decoders ${memory.children.toFixed(0)} MiB`,
  ].join('\n');
}

await main();
