import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { call, expectProblem } from '../../support/process/client.ts';
import { makeDataFolder, removeFolder } from '../../support/process/data-folder.ts';
import { makeLedger } from '../../support/process/ledger.ts';
import { launch, type Server, type StartingServer } from '../../support/process/server.ts';
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts';

/** Maximum number of requests per round. Each request inserts a thousand rows. */
const maxRequests = 200;

/**
 * Fills the embedded database's disk. Rows that do not fit are rejected. If the write-ahead log does not fit, the
 * embedded database crashes and the process exits with a message. All acknowledged data still exists after the next
 * start.
 */
export async function fillDatabaseDisk(rounds: number): Promise<void> {
  let [imageCount, importCount, crashCount] = [0, 0, 0];
  for (let round = 1; round <= rounds; round++) {
    const counts = await runRound(`faults-${round}`);
    imageCount += counts.imageCount;
    importCount += counts.importCount;
    crashCount += counts.crashCount;
  }
  expect(crashCount).toBeGreaterThan(0);
  process.stdout.write(
    `embedded database's disk full: ${rounds} rounds, ${imageCount} uploads and ${importCount} imports acknowledged, ${crashCount} crashes; no problem\n`,
  );
}

/** Runs one round with a new database and disk. */
async function runRound(tenant: string) {
  const data = await makeDataFolder();
  const disk = await mountSmallDisk(data);
  const ledger = makeLedger(tenant, { size: [800, 600] });
  const firstServer = startServerOn(disk, data);
  const server = await firstServer.ready();
  for (let count = 0; count < 4; count++) await ledger.upload(server.url, 'inline');
  const importIds = await fillWithRows(server, disk);
  const crashCount = await stopOrExpectCrash(firstServer);
  disk.freeAll();
  const secondServer = startServerOn(disk, data);
  const { url } = await secondServer.ready();
  await ledger.check(url);
  for (const id of importIds)
    expect((await call(`${url}/v1/imports/${id}`)).status, `import ${id}`).toBe(200);
  expect(await ledger.upload(url, 'inline'), 'an upload after space was freed').toBeDefined();
  await secondServer.kill9();
  await removeFolder(data);
  return { imageCount: ledger.acknowledged.size, importCount: importIds.length, crashCount };
}

function startServerOn(disk: SmallDisk, data: string): StartingServer {
  const startingServer = launch(data, { MIN_FREE_DISK_MB: '0', WORKER_CONCURRENCY: '1' }, disk.wrapper);
  onTestFinished(() => startingServer.kill9());
  return startingServer;
}

/**
 * Inserts rows until the process exits. Frees some space whenever rows are rejected. Returns the ids of the accepted
 * imports.
 */
async function fillWithRows({ url }: Server, disk: SmallDisk): Promise<number[]> {
  disk.fill(1_000_000);
  const importIds: number[] = [];
  for (let count = 0; count < maxRequests; count++) {
    const response = await sendRows(url).catch(() => undefined);
    if (!response) return importIds;
    if (response.status === 202) importIds.push(Number(response.body['id']));
    else expectProblem(response, 507, 'storage_full');
    if (response.status === 507) disk.freeSome(1_000_000);
  }
  return importIds;
}

/**
 * Requests an import of URLs that are rejected immediately. The server inserts a row for each URL, but creates no job.
 */
function sendRows(base: string) {
  const items = Array.from({ length: 1_000 }, (_, line) => ({ url: `http://127.0.0.1:9/${line}.jpg` }));
  return call(`${base}/v1/imports`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ items }),
    signal: AbortSignal.timeout(10_000),
  });
}

/**
 * Stops the server. If the embedded database has crashed, expects an error message in the log instead. Returns the
 * number of crashes.
 */
async function stopOrExpectCrash(server: StartingServer): Promise<number> {
  const exit = await Promise.race([server.exited, sleep(2_000)]);
  if (!exit) {
    expect(await server.stop()).toMatchObject({ code: 0 });
    return 0;
  }
  expect(exit).toEqual({ code: 1, signal: null });
  expect(server.log()).toMatch(/the embedded database failed.+No space left on device.+then restart/);
  return 1;
}
