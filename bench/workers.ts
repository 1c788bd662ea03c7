import { type BackEnd, benchDatabaseUrl, makeBackEnd } from './back-end.ts';
import { drawPictures } from './pictures.ts';
import { freePort, type StartedServer, startProcess, startServer } from './programs.ts';
import { median, upload } from './upload.ts';

/**
 * Queued uploads until all renditions are there: one process that does everything, against one API process and two worker
 * processes, on the same cores and the same PostgreSQL server. `BENCH_DATABASE_URL=postgres://… npm run bench:workers`;
 * with `BENCH_REDIS_URL` woken by Redis.
 */

/** Until the code of all processes is compiled: three processes need longer for that than one. */
const warmUp = 150;
const measured = 300;
const rounds = 3;
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
  const pictures = await drawPictures(warmUp + measured);
  const rates = new Map<string, number[]>(setups.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++)
    for (const setup of setups) {
      const rate = await measure(setup, pictures);
      rates.get(setup.name)?.push(rate);
      console.log(`round ${round + 1}, ${setup.name}: ${rate.toFixed(1)} images/s`);
    }
  const [single = 0, split = 0] = setups.map(({ name }) => median(rates.get(name) ?? []));
  console.log(
    `\none process ${single.toFixed(1)} images/s, API and two workers ${split.toFixed(1)} images/s`,
  );
  console.log(`ratio ${(split / single).toFixed(2)} (median of ${rounds} rounds, ${measured} images each)`);
  return split >= single ? 0 : 1;
}

async function measure({ start }: Setup, pictures: readonly Buffer[]): Promise<number> {
  const backEnd = await makeBackEnd();
  try {
    const { baseUrl, stop } = await start(backEnd);
    try {
      await ingest(baseUrl, 'warm', pictures.slice(0, warmUp));
      const began = performance.now();
      await ingest(baseUrl, 'bench', pictures.slice(warmUp));
      return (measured * 1000) / (performance.now() - began);
    } finally {
      await stop();
    }
  } finally {
    await backEnd.remove();
  }
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
