import { makeQueries } from '../src/db/queries.ts';
import { type BackEnd, benchDatabaseUrl, makeBackEnd } from './back-end.ts';
import { fillImages } from './fill-images.ts';
import { drawPictures } from './pictures.ts';
import { type StartedServer, startVitrine } from './programs.ts';
import { median, upload } from './upload.ts';

/**
 * Time of an upload with 1,000, 10,000 and 100,000 images present: `npm run bench:growth`. The servers of all sizes run
 * side by side and take the same pictures in turn, so that what else the machine does hits all of them alike. With
 * `BENCH_DATABASE_URL` on that PostgreSQL server, else on the embedded database.
 */

const sizes = [1_000, 10_000, 100_000];
const warmUp = 20;
const measured = 100;
/** How much slower the largest may be. */
const limit = 1.2;

/** This tenant has half of all images: what is looked for among a tenant's images is looked for among these. */
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
    await uploadAll(candidates, await drawPictures(warmUp + measured));
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
  await makeQueries(database).usage.fold();
  await database.close();
  const server = await startVitrine(backEnd.environment);
  return { size, backEnd, server, times: [] };
}

/** Each picture goes to every server, beginning with another one each time. */
async function uploadAll(candidates: readonly Candidate[], pictures: readonly Buffer[]): Promise<void> {
  for (const [index, picture] of pictures.entries())
    for (let turn = 0; turn < candidates.length; turn++) {
      const candidate = candidates[(index + turn) % candidates.length];
      if (!candidate) continue;
      const time = await upload(candidate.server.baseUrl, '/v1/images', picture, largeTenant);
      if (index >= warmUp) candidate.times.push(time);
    }
}

function report(candidates: readonly Candidate[]): number {
  const least = median(candidates[0]?.times ?? []);
  const engine = benchDatabaseUrl === undefined ? 'embedded database' : 'PostgreSQL server';
  console.log(`\n${engine}; ${measured} uploads each, one after the other, answered with all renditions`);
  console.log(`${'images present'.padStart(15)} ${'median ms'.padStart(10)} ${'ratio'.padStart(7)}`);
  for (const { size, times } of candidates)
    console.log(
      `${size.toLocaleString('en').padStart(15)} ${median(times).toFixed(1).padStart(10)} ${(median(times) / least).toFixed(2).padStart(7)}`,
    );
  const worst = Math.max(...candidates.map(({ times }) => median(times) / least));
  console.log(`\nlargest ratio ${worst.toFixed(2)}; limit ${limit}`);
  return worst <= limit ? 0 : 1;
}

process.exitCode = await main();
