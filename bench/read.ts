import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { makeApiClient } from '../src/cli/api-client.ts';
import { findMissingPrograms, findFreePort, run, startServer } from './programs.ts';

const rounds = 3;
const secondsPerRun = 8;
const connections = 32;
/** Size of a typical zoom rendition of a product picture. */
const targetBytes = 106_000;

/**
 * Compares the number of requests per second for the same JPEG, which Vitrine serves as a cached rendition and nginx
 * serves as a file.
 */
async function main(): Promise<number> {
  const missingPrograms = await findMissingPrograms(['nginx', 'wrk']);
  if (missingPrograms.length > 0) {
    console.log(`Missing: ${missingPrograms.join(', ')}. Install with: apt-get install nginx-light wrk`);
    return 2;
  }
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-bench-'));
  const vitrine = await startVitrine(folder);
  try {
    const urls = await uploadPicture(vitrine.baseUrl, folder);
    const nginx = await startNginx(folder, await download(urls[0] ?? ''));
    try {
      for (const url of urls) await compare(url, `${nginx.baseUrl}/zoom.jpg`);
    } finally {
      await nginx.stop();
    }
  } finally {
    await vitrine.stop();
    await rm(folder, { recursive: true, force: true });
  }
  return 0;
}

async function startVitrine(folder: string) {
  const port = await findFreePort();
  const dataDir = join(folder, 'data');
  return startServer(process.execPath, ['src/main.ts', 'serve'], `http://127.0.0.1:${port}`, '/v1/healthz', {
    ...process.env,
    PORT: String(port),
    HOST: '127.0.0.1',
    DATA_DIR: dataDir,
    LOG_LEVEL: 'warn',
  });
}

async function startNginx(folder: string, file: Buffer) {
  const port = await findFreePort();
  const prefix = join(folder, 'nginx');
  await mkdir(join(prefix, 'files'), { recursive: true });
  await writeFile(join(prefix, 'files', 'zoom.jpg'), file);
  await writeFile(join(prefix, 'nginx.conf'), makeNginxConfiguration(prefix, port));
  const args = ['-p', prefix, '-c', join(prefix, 'nginx.conf'), '-e', join(prefix, 'error.log')];
  return startServer('nginx', args, `http://127.0.0.1:${port}`, '/zoom.jpg');
}

/** Returns a configuration that runs nginx in the foreground and keeps all its files in the folder `prefix`. */
function makeNginxConfiguration(prefix: string, port: number): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `  ${kind}_temp_path ${prefix}/${kind};`)
    .join('\n');
  // If root starts nginx, the nginx workers run by default as a different user, who cannot read this folder.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `
daemon off;
${user}
worker_processes 1;
pid ${prefix}/nginx.pid;
error_log ${prefix}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  open_file_cache max=100;
  types { image/jpeg jpg; }
${paths}
  server { listen 127.0.0.1:${port}; root ${prefix}/files; }
}
`;
}

/**
 * Uploads a picture and returns URLs of its zoom rendition: the older one, and those under `/i/` with a format and without one. All
 * of them serve the same JPEG.
 */
async function uploadPicture(baseUrl: string, folder: string): Promise<string[]> {
  const path = join(folder, 'picture.jpg');
  await writeFile(path, await makePicture());
  const client = makeApiClient({ baseUrl });
  const upload = await client.uploadFile({ path, filename: 'picture.jpg', tenant: 'bench', mode: 'inline' });
  if (upload.outcome === 'refused') throw new Error(`The picture was rejected: ${upload.reason}`);
  const { renditions, uuid } = await client.getImage(upload.id);
  const zoom = renditions.find(({ preset }) => preset === 'zoom');
  if (!zoom) throw new Error('The image has no zoom rendition.');
  return [zoom.url, `/i/${uuid}/zoom.jpg`, `/i/${uuid}/zoom`].map((path) => new URL(path, baseUrl).href);
}

/**
 * Generates a smooth picture with grain. The grain is increased until a JPEG of 1200 × 1200 pixels with quality 85 has
 * the size of a typical zoom rendition, `targetBytes`.
 */
async function makePicture(): Promise<Buffer> {
  const side = 1200;
  const grain = await sharp(randomBytes(150 * 150 * 3), { raw: { width: 150, height: 150, channels: 3 } })
    .resize(side, side, { kernel: 'cubic' })
    .raw()
    .toBuffer();
  let picture = Buffer.alloc(0);
  for (let strength = 0.05, jpegBytes = 0; jpegBytes < targetBytes && strength < 0.5; strength += 0.01) {
    const pixels = grain.map((value, index) => 170 + (value - 128) * strength + (index % (side * 3)) / 90);
    const image = sharp(pixels, { raw: { width: side, height: side, channels: 3 } });
    jpegBytes = (await image.clone().jpeg({ quality: 85 }).toBuffer()).length;
    picture = await image.jpeg({ quality: 95 }).toBuffer();
  }
  return picture;
}

async function download(url: string): Promise<Buffer> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} returned status ${response.status}.`);
  return Buffer.from(await response.arrayBuffer());
}

async function compare(vitrineUrl: string, nginxUrl: string): Promise<void> {
  const size = (await download(nginxUrl)).length;
  console.log(`${vitrineUrl}: ${size} bytes, ${connections} connections, ${secondsPerRun} s per run`);
  const ratios: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const vitrine = await measureRequestsPerSecond(vitrineUrl);
    const nginx = await measureRequestsPerSecond(nginxUrl);
    ratios.push(vitrine / nginx);
    console.log(
      `round ${round}: vitrine ${vitrine.toFixed(0)}/s, nginx ${nginx.toFixed(0)}/s, ratio ${(vitrine / nginx).toFixed(2)}`,
    );
  }
  console.log(`median ratio: ${median(ratios).toFixed(2)}`);
}

async function measureRequestsPerSecond(url: string): Promise<number> {
  const report = await run('wrk', ['-t1', `-c${connections}`, `-d${secondsPerRun}s`, url]);
  const failures = /(Socket errors|Non-2xx).*/.exec(report);
  if (failures) throw new Error(`wrk reported failed requests for ${url}: ${failures[0]}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(report)?.[1]);
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

process.exitCode = await main();
