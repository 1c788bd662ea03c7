import { type BackEnd, benchDatabaseUrl, makeBackEnd } from './back-end.ts';
import { drawPictures } from './pictures.ts';
import { freePort, type StartedServer, startProcess, startServer } from './programs.ts';
import { median, upload } from './upload.ts';

/**
 * Queued uploads until all renditions are there: one process that does everything, against one API process and two worker
 * processes, on the same cores and the same PostgreSQL server. Both run all the time and take turns, so that both meet the
 * same machine. `BENCH_DATABASE_URL=postgres://… npm run bench:workers`; with `BENCH_REDIS_URL` woken by Redis.
 */

const pictureCount = 300;
/** Turns until the code of all processes is compiled: each of three sees a part of the work only, so that takes longer. */
const warmUps = 12;
const turns = 9;
/** Turns differ by a tenth on a quiet machine, and the medians of nine by this much. */
const noise = 0.03;
const concurrency = 8;

const redisUrl = process.env['BENCH_REDIS_URL'];

interface Setup {
  readonly name: string;
  readonly start: (backEnd: BackEnd) => Promise<{ baseUrl: string; stop: () => Promise<void> }>;
}

const setups: readonly Setup[] = [
  { name: 'one process', start: (backEnd) => startApi(backEnd, { ENABLE_WORKER: 'true' }) },
  { name: 'API and two workers', start: startSplit },
];

async function startApi(backEnd: BackEnd, more: Record<string, string>): Promise<StartedServer> {
  const port = await freePort();
  return startServer(
    process.execPath,
    ['src/main.ts', 'serve'],
    `http://127.0.0.1:${port}`,
    '/v1/healthz',
    environmentOf(backEnd, { PORT: String(port), HOST: '127.0.0.1', ...more }),
  );
}

async function startSplit(backEnd: BackEnd) {
  const api = await startApi(backEnd, { ENABLE_WORKER: 'false' });
  const worker = () =>
    startProcess(
      process.execPath,
      ['src/main.ts', 'worker', '--concurrency', '1'],
      environmentOf(backEnd, {}),
    );
  const workers = [worker(), worker()];
  return {
    baseUrl: api.baseUrl,
    stop: async () => {
      await Promise.all([api, ...workers].map((each) => each.stop()));
    },
  };
}

function environmentOf({ environment }: BackEnd, more: Record<string, string>): NodeJS.ProcessEnv {
  const queue = redisUrl === undefined ? {} : { REDIS_URL: redisUrl, QUEUE_NAME: `bench-${process.pid}` };
  // No picture may skip its renditions.
  return { ...process.env, ...environment, ...queue, LOG_LEVEL: 'warn', NEAR_DUPLICATES: 'flag', ...more };
}

async function main(): Promise<number> {
  if (benchDatabaseUrl === undefined) {
    console.error('Set BENCH_DATABASE_URL to a PostgreSQL server: the embedded database serves one process.');
    return 2;
  }
  const pictures = await drawPictures(pictureCount);
  const running: Running[] = [];
  try {
    for (const setup of setups) running.push(await open(setup));
    for (let turn = 0; turn < warmUps + turns; turn++) await takeTurns(running, turn, pictures);
  } finally {
    for (const each of running) await each.stop();
  }
  return report(running);
}

interface Running {
  readonly name: string;
  readonly baseUrl: string;
  /** Images per second, in each turn that counts. */
  readonly rates: number[];
  readonly stop: () => Promise<void>;
}

async function open({ name, start }: Setup): Promise<Running> {
  const backEnd = await makeBackEnd();
  const { baseUrl, stop } = await start(backEnd);
  return {
    name,
    baseUrl,
    rates: [],
    stop: async () => {
      await stop();
      await backEnd.remove();
    },
  };
}

async function takeTurns(
  running: readonly Running[],
  turn: number,
  pictures: readonly Buffer[],
): Promise<void> {
  for (const { name, baseUrl, rates } of running) {
    const began = performance.now();
    // Each tenant keeps its own pictures: the same ones are new to the next.
    await ingest(baseUrl, `turn-${turn}`, pictures);
    const rate = (pictures.length * 1000) / (performance.now() - began);
    if (turn >= warmUps) rates.push(rate);
    console.log(
      `${turn < warmUps ? 'warm-up' : `turn ${turn - warmUps + 1}`}, ${name}: ${rate.toFixed(1)} images/s`,
    );
  }
}

function report(running: readonly Running[]): number {
  const [single = 0, split = 0] = running.map(({ rates }) => median(rates));
  console.log(
    `\none process ${single.toFixed(1)} images/s, API and two workers ${split.toFixed(1)} images/s`,
  );
  console.log(`ratio ${(split / single).toFixed(2)} (median of ${turns} turns, ${pictureCount} images each)`);
  return split >= (1 - noise) * single ? 0 : 1;
}

/** Uploads all, some at a time, and waits until every rendition is there. */
async function ingest(baseUrl: string, tenant: string, pictures: readonly Buffer[]): Promise<void> {
  const remaining = pictures.values();
  const client = async () => {
    for (const picture of remaining) await upload(baseUrl, '/upload/', picture, tenant);
  };
  await Promise.all(Array.from({ length: concurrency }, client));
  for (;;) {
    const response = await fetch(`${baseUrl}/metrics/tenant/${tenant}`);
    const { rendition_count: count } = (await response.json()) as { rendition_count: number };
    if (count >= 3 * pictures.length) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

process.exitCode = await main();
