import { type BackEnd, benchDatabaseUrl, makeBackEnd } from './back-end.ts';
import { drawPictures } from './pictures.ts';
import { findFreePort, type StartedServer, startProcess, startServer } from './programs.ts';
import { median, upload } from './upload.ts';

/**
 * Compares two setups on the same machine and PostgreSQL server: a single process, and an API process with two worker
 * processes. Measures how many queued uploads each setup processes per second. An upload counts as processed once its
 * renditions exist. Both setups keep running and are measured alternately, so that other load on the machine affects
 * them equally. Run `BENCH_DATABASE_URL=postgres://… npm run bench:workers`. If `BENCH_REDIS_URL` is set, Redis wakes
 * the workers.
 */

const pictureCount = 300;
/** Number of unmeasured rounds. After this many, the JIT has compiled all code that the three processes use. */
const warmUpRounds = 12;
const rounds = 9;
/**
 * Fraction by which the second setup may be slower. On an idle machine, medians of nine rounds vary by this fraction,
 * and individual rounds vary by 10%.
 */
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

async function startApi(backEnd: BackEnd, overrides: Record<string, string>): Promise<StartedServer> {
  const port = await findFreePort();
  return startServer(
    process.execPath,
    ['src/main.ts', 'serve'],
    `http://127.0.0.1:${port}`,
    '/v1/healthz',
    makeEnvironment(backEnd, { PORT: String(port), HOST: '127.0.0.1', ...overrides }),
  );
}

async function startApiAndWorkers(backEnd: BackEnd) {
  const api = await startApi(backEnd, { ENABLE_WORKER: 'false' });
  const startWorker = () =>
    startProcess(
      process.execPath,
      ['src/main.ts', 'worker', '--concurrency', '1'],
      makeEnvironment(backEnd, {}),
    );
  const workers = [startWorker(), startWorker()];
  return {
    baseUrl: api.baseUrl,
    stop: async () => {
      await Promise.all([api, ...workers].map(({ stop }) => stop()));
    },
  };
}

function makeEnvironment({ environment }: BackEnd, overrides: Record<string, string>): NodeJS.ProcessEnv {
  const queue = redisUrl === undefined ? {} : { REDIS_URL: redisUrl, QUEUE_NAME: `bench-${process.pid}` };
  // `NEAR_DUPLICATES: 'flag'` prevents the reuse of renditions, so that every picture is processed.
  return {
    ...process.env,
    ...environment,
    ...queue,
    LOG_LEVEL: 'warn',
    NEAR_DUPLICATES: 'flag',
    ...overrides,
  };
}

async function main(): Promise<number> {
  if (benchDatabaseUrl === undefined) {
    console.error(
      'Set BENCH_DATABASE_URL to a PostgreSQL server: the embedded database allows only one process.',
    );
    return 2;
  }
  const pictures = await drawPictures(pictureCount);
  const runningSetups: RunningSetup[] = [];
  try {
    for (const setup of setups) runningSetups.push(await startSetup(setup));
    for (let round = 0; round < warmUpRounds + rounds; round++)
      await runRound(runningSetups, round, pictures);
  } finally {
    for (const setup of runningSetups) await setup.stop();
  }
  return report(runningSetups);
}

interface RunningSetup {
  readonly name: string;
  readonly baseUrl: string;
  /** Images per second in each measured round. */
  readonly rates: number[];
  readonly stop: () => Promise<void>;
}

async function startSetup({ name, start }: Setup): Promise<RunningSetup> {
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
  runningSetups: readonly RunningSetup[],
  round: number,
  pictures: readonly Buffer[],
): Promise<void> {
  for (const { name, baseUrl, rates } of runningSetups) {
    const startedAt = performance.now();
    // Each round has its own tenant, for which the same pictures are new.
    await ingest(baseUrl, `round-${round}`, pictures);
    const rate = (pictures.length * 1000) / (performance.now() - startedAt);
    if (round >= warmUpRounds) rates.push(rate);
    console.log(
      `${round < warmUpRounds ? 'warm-up' : `round ${round - warmUpRounds + 1}`}, ${name}: ${rate.toFixed(1)} images/s`,
    );
  }
}

function report(runningSetups: readonly RunningSetup[]): number {
  const [singleRate = 0, splitRate = 0] = runningSetups.map(({ rates }) => median(rates));
  console.log(
    `\none process ${singleRate.toFixed(1)} images/s, API and two workers ${splitRate.toFixed(1)} images/s`,
  );
  console.log(
    `ratio ${(splitRate / singleRate).toFixed(2)} (median of ${rounds} rounds, ${pictureCount} images each)`,
  );
  return splitRate >= (1 - tolerance) * singleRate ? 0 : 1;
}

/** Uploads all pictures concurrently and waits until every rendition exists. */
async function ingest(baseUrl: string, tenant: string, pictures: readonly Buffer[]): Promise<void> {
  const remainingPictures = pictures.values();
  const uploadRemaining = async () => {
    for (const picture of remainingPictures) await upload(baseUrl, '/upload/', picture, tenant);
  };
  await Promise.all(Array.from({ length: concurrency }, uploadRemaining));
  for (;;) {
    const response = await fetch(`${baseUrl}/metrics/tenant/${tenant}`);
    const { rendition_count: renditionCount } = (await response.json()) as { rendition_count: number };
    if (renditionCount >= 3 * pictures.length) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

process.exitCode = await main();
