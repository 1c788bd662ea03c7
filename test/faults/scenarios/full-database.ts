import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { call, expectProblem } from '../../support/process/client.ts';
import { makeDataFolder, removeFolder } from '../../support/process/data-folder.ts';
import { makeLedger } from '../../support/process/ledger.ts';
import { launch, type Server, type StartingServer } from '../../support/process/server.ts';
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts';

/** Requests of a thousand rows each that are sent in a round. */
const mostRequests = 200;

/**
 * The embedded database lies on the full disk itself. Rows that find no place are refused; when its log finds none, the
 * engine breaks down, the process ends with a sentence, and the next start finds all that was acknowledged.
 */
export async function fillDiskOfEmbeddedDatabase(rounds: number): Promise<void> {
  let [images, imports, breakdowns] = [0, 0, 0];
  for (let round = 1; round <= rounds; round++) {
    const figures = await fillOnce(`faults-${round}`);
    images += figures.images;
    imports += figures.imports;
    breakdowns += figures.breakdowns;
  }
  expect(breakdowns).toBeGreaterThan(0);
  process.stdout.write(
    `the disk of the embedded database full: ${rounds} rounds, ${images} images and ${imports} imports acknowledged, ${breakdowns} breakdowns; no problem\n`,
  );
}

/** One round, with a database and a disk of its own. */
async function fillOnce(tenant: string) {
  const data = await makeDataFolder();
  const disk = await mountSmallDisk(data);
  const ledger = makeLedger(tenant, { size: [800, 600] });
  const first = startOn(disk, data);
  const server = await first.ready();
  for (let count = 0; count < 4; count++) await ledger.upload(server.url, 'inline');
  const imports = await fillWithRows(server, disk);
  const breakdowns = await endOf(first);
  disk.free();
  const second = startOn(disk, data);
  const { url } = await second.ready();
  await ledger.check(url);
  for (const id of imports) expect((await call(`${url}/v1/imports/${id}`)).status, `import ${id}`).toBe(200);
  expect(await ledger.upload(url, 'inline'), 'an upload with space again').toBeDefined();
  await second.kill9();
  await removeFolder(data);
  return { images: ledger.acknowledged.size, imports: imports.length, breakdowns };
}

function startOn(disk: SmallDisk, data: string): StartingServer {
  const starting = launch(data, { MIN_FREE_DISK_MB: '0', WORKER_CONCURRENCY: '1' }, disk.through);
  onTestFinished(() => starting.kill9());
  return starting;
}

/** Sends rows without files until the process ends; makes a little room whenever they are refused. */
async function fillWithRows({ url }: Server, disk: SmallDisk): Promise<number[]> {
  disk.fill(1_000_000);
  const taken: number[] = [];
  for (let count = 0; count < mostRequests; count++) {
    const answer = await sendRows(url).catch(() => undefined);
    if (!answer) return taken;
    if (answer.status === 202) taken.push(Number(answer.body['id']));
    else expectProblem(answer, 507, 'storage_full');
    if (answer.status === 507) disk.giveBack(1_000_000);
  }
  return taken;
}

/** Addresses that are refused at once: each leaves a row and asks for no work. */
function sendRows(base: string) {
  const items = Array.from({ length: 1_000 }, (_, line) => ({ url: `http://127.0.0.1:9/${line}.jpg` }));
  return call(`${base}/v1/imports`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ items }),
    signal: AbortSignal.timeout(10_000),
  });
}

/** A breakdown of the engine ends the process with a sentence; else it is stopped. Answers the number of breakdowns. */
async function endOf(server: StartingServer): Promise<number> {
  const exit = await Promise.race([server.exited, sleep(2_000)]);
  if (!exit) {
    expect(await server.stop()).toMatchObject({ code: 0 });
    return 0;
  }
  expect(exit).toEqual({ code: 1, signal: null });
  expect(server.log()).toMatch(/the embedded database failed.+No space left on device.+then restart/);
  return 1;
}
