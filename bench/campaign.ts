import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import sharp from 'sharp';
import { runCampaign } from '../test/support/process/campaign-run.ts';
import { type BackEnd, benchDatabaseUrl, makeBackEnd } from './back-end.ts';
import { startProcess, startVitrine } from './programs.ts';

/**
 * Makes the renditions of 2,000 images again, kills the worker ten times with SIGKILL, and reads renditions all the time.
 * Fails if a read fails, if a recorded rendition is recorded again, or if one is missing at the end. Run
 * `BENCH_DATABASE_URL=postgres://… npm run bench:campaign`.
 */

const imageCount = Number(process.env['BENCH_IMAGES'] ?? 2_000);
const kills = 10;
const concurrency = 2;
const uploadsAtOnce = 4;
const maxUploadAttempts = 30;

const oldPresets = '{"card":{"width":300,"height":300,"quality":70}}';
const newPresets = '{"card":{"width":400,"height":400,"quality":85}}';

const settings = {
  LEASE_SECONDS: '5',
  NEAR_DUPLICATES: 'flag',
  ENABLE_WORKER: 'false',
  AUTH: 'open',
  // On a busy machine, a decoder may get little time.
  DECODE_TIMEOUT_MS: '60000',
  PROBE_TIMEOUT_MS: '30000',
  WORKER_CONCURRENCY: String(concurrency),
};

async function main(): Promise<number> {
  if (benchDatabaseUrl === undefined) {
    console.error(
      'Set BENCH_DATABASE_URL to a PostgreSQL server: the embedded database allows only one process.',
    );
    return 2;
  }
  const backEnd = await makeBackEnd();
  try {
    await uploadImages(backEnd);
    return await measure(backEnd);
  } finally {
    await backEnd.remove();
  }
}

async function uploadImages({ environment }: BackEnd): Promise<void> {
  const server = await startVitrine({
    ...environment,
    ...settings,
    ENABLE_WORKER: 'true',
    PRESETS: oldPresets,
  });
  let remaining = imageCount;
  const uploadRemaining = async () => {
    while (remaining-- > 0) await upload(server.baseUrl, await drawNoise());
  };
  await Promise.all(Array.from({ length: uploadsAtOnce }, uploadRemaining));
  await server.stop();
  console.log(`uploaded ${imageCount} images`);
}

/** Uploads a picture. Tries again while the server is busy. */
async function upload(baseUrl: string, jpeg: Buffer): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const form = new FormData();
    form.set('file', new Blob([new Uint8Array(jpeg)], { type: 'image/jpeg' }), 'bench.jpg');
    const response = await fetch(`${baseUrl}/v1/images`, { method: 'POST', body: form });
    const body = await response.text();
    if (response.ok && (JSON.parse(body) as { status: string }).status === 'completed') return;
    if (attempt === maxUploadAttempts) throw new Error(`An upload failed with ${response.status}: ${body}`);
    await sleep(1_000);
  }
}

/** Draws a picture that no other one equals. */
function drawNoise(): Promise<Buffer> {
  const pixels = Buffer.from(Array.from({ length: 12 * 9 * 3 }, () => randomInt(256)));
  return sharp(pixels, { raw: { width: 12, height: 9, channels: 3 } })
    .resize(800, 600, { fit: 'fill' })
    .jpeg()
    .toBuffer();
}

async function measure({ environment }: BackEnd): Promise<number> {
  const newSettings = { ...environment, ...settings, PRESETS: newPresets };
  const server = await startVitrine(newSettings);
  const client = new Client({ connectionString: environment['DATABASE_URL'] });
  await client.connect();
  try {
    const report = await runCampaign({
      serverUrl: server.baseUrl,
      query: async (statement) => (await client.query(statement)).rows as Record<string, unknown>[],
      preset: 'card',
      kills,
      startWorker: () => Promise.resolve(startWorker(newSettings)),
      timeoutMs: 3_600_000,
      onProgress: (done, total) => console.log(`${done} of ${total} images`),
    });
    const { failedReads, ...figures } = report;
    console.log({ ...figures, failedReads: failedReads.length });
    for (const failure of failedReads.slice(0, 10)) console.log(failure);
    console.log(
      `${(report.done / report.seconds).toFixed(1)} images/s, including the pauses after the kills`,
    );
    const isRight =
      failedReads.length === 0 &&
      report.repeated === 0 &&
      report.missing === 0 &&
      report.simultaneous === 0 &&
      report.done + report.skipped === imageCount &&
      report.kills === kills;
    return isRight && report.lostLeases <= kills * 2 * concurrency ? 0 : 1;
  } finally {
    await client.end();
    await server.stop();
  }
}

function startWorker(environment: Readonly<Record<string, string>>): () => Promise<void> {
  const worker = startProcess(process.execPath, ['src/main.ts', 'worker'], {
    ...process.env,
    LOG_LEVEL: 'error',
    ...environment,
  });
  return async () => {
    process.kill(worker.pid, 'SIGKILL');
    while (!worker.hasExited()) await sleep(10);
  };
}

process.exitCode = await main();
