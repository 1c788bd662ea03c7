import { makeQueries } from '../src/db/queries.ts';
import { type BackEnd, benchDatabaseUrl, makeBackEnd } from './back-end.ts';
import { fillImages } from './fill-images.ts';
import { drawPictures } from './pictures.ts';
import { type StartedServer, startVitrine } from './programs.ts';
import { median, upload } from './upload.ts';

/**
 * Measures the duration of uploads with 1,000, 10,000 and 100,000 existing images. Run `npm run bench:growth`. There is
 * a server for each number of images. All servers run at the same time and receive the same pictures in turn, so that
 * other load on the machine affects them equally. If `BENCH_DATABASE_URL` is set, the benchmark uses that PostgreSQL
 * server. Otherwise, it uses the embedded database.
 */

const imageCounts = [1_000, 10_000, 100_000];
const warmUpCount = 20;
const measuredCount = 100;
/** Maximum ratio between the upload time of a server and that of the server with the fewest images. */
const maxRatio = 1.2;

/** The tenant of the uploads. Its queries are the slowest, because it has half of all images. */
const largeTenant = 'tenant-1';

interface MeasuredServer {
  readonly imageCount: number;
  readonly backEnd: BackEnd;
  readonly server: StartedServer;
  /** Duration of each measured upload, in milliseconds. */
  readonly uploadTimes: number[];
}

async function main(): Promise<number> {
  const measuredServers: MeasuredServer[] = [];
  try {
    for (const imageCount of imageCounts) measuredServers.push(await startFilledServer(imageCount));
    await uploadAll(measuredServers, await drawPictures(warmUpCount + measuredCount));
    return report(measuredServers);
  } finally {
    for (const { server, backEnd } of measuredServers) {
      await server.stop();
      await backEnd.remove();
    }
  }
}

async function startFilledServer(imageCount: number): Promise<MeasuredServer> {
  console.log(`Filling a database with ${imageCount} images …`);
  const backEnd = await makeBackEnd();
  const database = await backEnd.open();
  await fillImages(database, imageCount);
  await makeQueries(database).usage.foldDeltas();
  await database.close();
  const server = await startVitrine(backEnd.environment);
  return { imageCount, backEnd, server, uploadTimes: [] };
}

/** Uploads each picture to every server, starting with a different server each time. */
async function uploadAll(
  measuredServers: readonly MeasuredServer[],
  pictures: readonly Buffer[],
): Promise<void> {
  for (const [index, picture] of pictures.entries())
    for (let offset = 0; offset < measuredServers.length; offset++) {
      const measuredServer = measuredServers[(index + offset) % measuredServers.length];
      if (!measuredServer) continue;
      const time = await upload(measuredServer.server.baseUrl, '/v1/images', picture, largeTenant);
      if (index >= warmUpCount) measuredServer.uploadTimes.push(time);
    }
}

function report(measuredServers: readonly MeasuredServer[]): number {
  const baselineTime = median(measuredServers[0]?.uploadTimes ?? []);
  const databaseName = benchDatabaseUrl === undefined ? 'embedded database' : 'PostgreSQL server';
  console.log(`\n${databaseName}; ${measuredCount} sequential inline uploads per server`);
  console.log(`${'existing images'.padStart(15)} ${'median ms'.padStart(10)} ${'ratio'.padStart(7)}`);
  for (const { imageCount, uploadTimes } of measuredServers)
    console.log(
      `${imageCount.toLocaleString('en').padStart(15)} ${median(uploadTimes).toFixed(1).padStart(10)} ${(median(uploadTimes) / baselineTime).toFixed(2).padStart(7)}`,
    );
  const largestRatio = Math.max(
    ...measuredServers.map(({ uploadTimes }) => median(uploadTimes) / baselineTime),
  );
  console.log(`\nlargest ratio ${largestRatio.toFixed(2)}; limit ${maxRatio}`);
  return largestRatio <= maxRatio ? 0 : 1;
}

process.exitCode = await main();
