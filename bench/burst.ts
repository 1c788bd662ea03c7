import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { addComment } from '../test/support/process/pictures.ts';
import { makeBackEnd } from './back-end.ts';
import { percentile } from './overload/statistics.ts';
import { drawPictures } from './pictures.ts';
import { startVitrine } from './programs.ts';
import { upload, uploadPatiently } from './upload.ts';

/**
 * Requests 1,000 renditions that do not exist yet, all at once, while clients upload pictures. Fails if the 95th percentile of the
 * uploads exceeds twice its value without the burst, or if a request gets anything but the rendition or 503 with `Retry-After`.
 * Run `npm run bench:burst`. With `-- --uploaders 0`, it only measures how many renditions are made per second. If
 * `BENCH_DATABASE_URL` is set, the server uses that PostgreSQL server.
 */

const { values } = parseArgs({
  options: {
    variants: { type: 'string', default: '1000' },
    uploaders: { type: 'string', default: '4' },
    seconds: { type: 'string', default: '20' },
  },
});
const variantCount = Number(values.variants);
const uploaders = Number(values.uploaders);

/** Each image has this many variants that are only made on request. */
const lazyFormats = ['webp', 'jpeg'];
const presets = {
  thumb: [100, 100],
  card: [400, 400],
  zoom: 1200,
  shop: { width: 500, height: 500, formats: lazyFormats, eager: false },
};
const uploadsAtOnce = 4;
const maxFactor = 2;
const maxAttempts = 200;

async function main(): Promise<number> {
  const backEnd = await makeBackEnd();
  const server = await startVitrine({
    ...backEnd.environment,
    PRESETS: JSON.stringify(presets),
    NEAR_DUPLICATES: 'flag',
    AUTH: 'open',
  });
  try {
    const nextPicture = makePictureSource(await drawPictures(60));
    const addresses = await prepareVariants(server.baseUrl, nextPicture);
    const alone = await uploadDuring(
      server.baseUrl,
      nextPicture,
      sleep(uploaders && Number(values.seconds) * 1_000),
    );
    const burst = Promise.all(addresses.map((path) => fetchUntilMade(server.baseUrl + path)));
    const startedAt = performance.now();
    const beside = await uploadDuring(server.baseUrl, nextPicture, burst);
    const seconds = (performance.now() - startedAt) / 1_000;
    const refusals = (await burst).reduce((total, count) => total + count, 0);
    const [before, during] = [percentile(alone.times, 0.95), percentile(beside.times, 0.95)];
    console.log(
      `${addresses.length} variants in ${seconds.toFixed(1)} s (${(addresses.length / seconds).toFixed(1)}/s), ${refusals} times 503 with Retry-After`,
    );
    if (uploaders === 0) return 0;
    console.log(
      `uploads: ${alone.times.length} alone, p95 ${before.toFixed(0)} ms; ${beside.times.length} beside the burst (and ${beside.refusals} times 503), p95 ${during.toFixed(0)} ms: ${(during / before).toFixed(2)} times (limit ${maxFactor})`,
    );
    return during <= maxFactor * before ? 0 : 1;
  } finally {
    await server.stop();
    await backEnd.remove();
  }
}

/** Returns a function that returns a new file each time. */
function makePictureSource(pictures: readonly Buffer[]): () => Buffer {
  let count = 0;
  return () => {
    const picture = pictures[count % pictures.length] ?? Buffer.alloc(0);
    return addComment(picture, `picture ${count++}`);
  };
}

interface ImagePage {
  readonly items: readonly { readonly uuid: string }[];
  readonly next_cursor: string | null;
}

/** Uploads enough images, and returns the paths of variants that have not been made. */
async function prepareVariants(baseUrl: string, nextPicture: () => Buffer): Promise<string[]> {
  let remaining = Math.ceil(variantCount / lazyFormats.length);
  const uploadRemaining = async () => {
    while (remaining-- > 0) await upload(baseUrl, '/v1/images', nextPicture(), 'burst');
  };
  await Promise.all(Array.from({ length: uploadsAtOnce }, uploadRemaining));
  const paths: string[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const response = await fetch(`${baseUrl}/v1/images?limit=100${cursor && `&cursor=${cursor}`}`);
    const page = (await response.json()) as ImagePage;
    for (const { uuid } of page.items)
      paths.push(...lazyFormats.map((format) => `/i/${uuid}/shop.${format}`));
    cursor = page.next_cursor;
  }
  return paths.slice(0, variantCount);
}

interface Uploads {
  /** Response times, in milliseconds. */
  readonly times: number[];
  refusals: number;
}

/** Uploads pictures until `end` is settled. */
async function uploadDuring(
  baseUrl: string,
  nextPicture: () => Buffer,
  end: Promise<unknown>,
): Promise<Uploads> {
  const ended = new AbortController();
  const uploads: Uploads = { times: [], refusals: 0 };
  const uploadUntilEnd = async () => {
    while (!ended.signal.aborted) {
      const { ms, refusals } = await uploadPatiently(baseUrl, '/v1/images', nextPicture(), 'uploads');
      uploads.times.push(ms);
      uploads.refusals += refusals;
    }
  };
  await Promise.all([end.finally(() => ended.abort()), ...Array.from({ length: uploaders }, uploadUntilEnd)]);
  return uploads;
}

/** Requests a rendition until it has been made. Returns how often the server refused to make it. */
async function fetchUntilMade(url: string): Promise<number> {
  for (let refusals = 0; refusals < maxAttempts; refusals++) {
    const response = await fetch(url);
    const body = await response.arrayBuffer();
    if (response.ok) return refusals;
    const retryAfter = Number(response.headers.get('retry-after'));
    if (response.status !== 503 || !(retryAfter > 0))
      throw new Error(`${url} returned ${response.status}: ${Buffer.from(body).toString().slice(0, 300)}`);
    await sleep(retryAfter * 1_000);
  }
  throw new Error(`${url} was refused ${maxAttempts} times.`);
}

process.exitCode = await main();
