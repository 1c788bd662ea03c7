import { makeQueries } from '../src/db/queries.ts';
import { type BackEnd, benchDatabaseUrl, makeBackEnd } from './back-end.ts';
import { fillImages } from './fill-images.ts';
import { drawPictures } from './pictures.ts';
import { type StartedServer, startVitrine } from './programs.ts';
import { median, upload } from './upload.ts';

/**
 * Measures the duration of uploads with 1,000, 10,000 and 100,000 existing images: `npm run bench:growth`. There is a
 * server for each size. All servers run at the same time and receive the same pictures in turn, so that other load on
 * the machine affects them equally. Uses the PostgreSQL server in `BENCH_DATABASE_URL` or, if it is not set, the
 * embedded database.
 */

const sizes = [1_000, 10_000, 100_000];
const warmUpCount = 20;
const measuredCount = 100;
/** Maximum ratio between the upload time of a server and that of the server with the fewest images. */
const maxRatio = 1.2;

/** The tenant of the uploads. Its queries are the slowest, because it has half of all images. */
const largeTenant = 'tenant-1';

interface Candidate {
  readonly size: number;
  readonly backEnd: BackEnd;
  readonly server: StartedServer;
  readonly times: number[];
}

async function main(): Promise<number> {
  const candidates: Candidate[] = [];
  try {
    for (const size of sizes) candidates.push(await prepare(size));
    await uploadAll(candidates, await drawPictures(warmUpCount + measuredCount));
    return report(candidates);
  } finally {
    for (const { server, backEnd } of candidates) {
      await server.stop();
      await backEnd.remove();
    }
  }
}

async function prepare(size: number): Promise<Candidate> {
  console.log(`Filling a database with ${size} images …`);
  const backEnd = await makeBackEnd();
  const database = await backEnd.open();
  await fillImages(database, size);
  await makeQueries(database).usage.foldDeltas();
  await database.close();
  const server = await startVitrine(backEnd.environment);
  return { size, backEnd, server, times: [] };
}

/** Uploads each picture to every server, starting with a different server each time. */
async function uploadAll(candidates: readonly Candidate[], pictures: readonly Buffer[]): Promise<void> {
  for (const [index, picture] of pictures.entries())
    for (let offset = 0; offset < candidates.length; offset++) {
      const candidate = candidates[(index + offset) % candidates.length];
      if (!candidate) continue;
      const time = await upload(candidate.server.baseUrl, '/v1/images', picture, largeTenant);
      if (index >= warmUpCount) candidate.times.push(time);
    }
}

function report(candidates: readonly Candidate[]): number {
  const baseline = median(candidates[0]?.times ?? []);
  const databaseName = benchDatabaseUrl === undefined ? 'embedded database' : 'PostgreSQL server';
  console.log(`\n${databaseName}; ${measuredCount} sequential inline uploads per size`);
  console.log(`${'existing images'.padStart(15)} ${'median ms'.padStart(10)} ${'ratio'.padStart(7)}`);
  for (const { size, times } of candidates)
    console.log(
      `${size.toLocaleString('en').padStart(15)} ${median(times).toFixed(1).padStart(10)} ${(median(times) / baseline).toFixed(2).padStart(7)}`,
    );
  const largestRatio = Math.max(...candidates.map(({ times }) => median(times) / baseline));
  console.log(`\nlargest ratio ${largestRatio.toFixed(2)}; limit ${maxRatio}`);
  return largestRatio <= maxRatio ? 0 : 1;
}

process.exitCode = await main();
