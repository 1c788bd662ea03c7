import { type BackEnd, benchDatabaseUrl, makeBackEnd } from './back-end.ts';
import { drawPictures } from './pictures.ts';
import { freePort, type StartedServer, startProcess, startServer } from './programs.ts';
import { median, upload } from './upload.ts';

/**
 * Compares the throughput of queued uploads, until all renditions exist, of two setups on the same machine and PostgreSQL
 * server: a single process, and an API process with two worker processes. Both keep running and are measured alternately, so
 * that other load affects both equally.
 * `BENCH_DATABASE_URL=postgres://… npm run bench:workers`; with `BENCH_REDIS_URL`, Redis wakes the workers.
 */

const pictureCount = 300;
/** Rounds until the JIT has compiled the code of all processes. It takes this long because three processes share the work. */
const warmUps = 12;
const rounds = 9;
/** Variation between medians of nine rounds on an idle machine. Single rounds vary by 10 %. */
const tolerance = 0.03;
const concurrency = 8;

const redisUrl = process.env['BENCH_REDIS_URL'];

interface Setup {
  readonly name: string;
  readonly start: (backEnd: BackEnd) => Promise<{ baseUrl: string; stop: () => Promise<void> }>;
}

const setups: readonly Setup[] = [
  { name: 'one process', start: (backEnd) => startApi(backEnd, { ENABLE_WORKER: 'true' }) },
  { name: 'API and two workers', start: startApiAndWorkers },
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

async function startApiAndWorkers(backEnd: BackEnd) {
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
  // Prevents the reuse of renditions, so that every picture is processed.
  return { ...process.env, ...environment, ...queue, LOG_LEVEL: 'warn', NEAR_DUPLICATES: 'flag', ...more };
}

async function main(): Promise<number> {
  if (benchDatabaseUrl === undefined) {
    console.error(
      'Set BENCH_DATABASE_URL to a PostgreSQL server: the embedded database allows one process only.',
    );
    return 2;
  }
  const pictures = await drawPictures(pictureCount);
  const running: Running[] = [];
  try {
    for (const setup of setups) running.push(await open(setup));
    for (let round = 0; round < warmUps + rounds; round++) await runRound(running, round, pictures);
  } finally {
    for (const each of running) await each.stop();
  }
  return report(running);
}

interface Running {
  readonly name: string;
  readonly baseUrl: string;
  /** Images per second of each measured round. */
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

async function runRound(
  running: readonly Running[],
  round: number,
  pictures: readonly Buffer[],
): Promise<void> {
  for (const { name, baseUrl, rates } of running) {
    const startedAt = performance.now();
    // One tenant per round: the same pictures are new to each tenant.
    await ingest(baseUrl, `round-${round}`, pictures);
    const rate = (pictures.length * 1000) / (performance.now() - startedAt);
    if (round >= warmUps) rates.push(rate);
    console.log(
      `${round < warmUps ? 'warm-up' : `round ${round - warmUps + 1}`}, ${name}: ${rate.toFixed(1)} images/s`,
    );
  }
}

function report(running: readonly Running[]): number {
  const [single = 0, split = 0] = running.map(({ rates }) => median(rates));
  console.log(
    `\none process ${single.toFixed(1)} images/s, API and two workers ${split.toFixed(1)} images/s`,
  );
  console.log(
    `ratio ${(split / single).toFixed(2)} (median of ${rounds} rounds, ${pictureCount} images each)`,
  );
  return split >= (1 - tolerance) * single ? 0 : 1;
}

/** Uploads all pictures concurrently and waits until every rendition exists. */
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
