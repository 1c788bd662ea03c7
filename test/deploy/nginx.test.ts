import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseEnv } from 'node:util';
import { Agent, fetch, FormData, request } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import { settings } from '../../src/config/settings.ts';
import { findFreePort } from '../support/inner/redis-server.ts';
import type { ImageRecord } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { startServer, useServer } from '../support/process/server.ts';
import { waitTimeoutMs } from '../support/time-scale.ts';

const source = await readFile(new URL('../../deploy/nginx/vitrine.conf', import.meta.url), 'utf8');
const missingPrograms = [
  ['nginx', '-v'],
  ['openssl', 'version'],
].filter(([program = '', word = '']) => spawnSync(program, [word]).error);
if (missingPrograms.length > 0)
  process.stdout.write(
    `SKIPPED: nginx tests. They need ${missingPrograms.map(([name]) => name).join(' and ')}.\n`,
  );

interface Proxy {
  readonly httpUrl: string;
  readonly httpsUrl: string;
}

/** Returns the configuration with the test's ports, folders and server address. */
function adaptConfiguration(
  folder: string,
  ports: { http: number; https: number },
  target: string,
  isCaching: boolean,
): string {
  const conf = source
    .replace('listen 80;', `listen 127.0.0.1:${ports.http};`)
    .replace('listen 443 ssl;', `listen 127.0.0.1:${ports.https} ssl;`)
    .replace('server 127.0.0.1:8000;', `server ${new URL(target).host};`)
    .replaceAll('/etc/ssl/vitrine', folder)
    .replace('/var/cache/nginx', `${folder}/cache`);
  return isCaching ? conf.replace('proxy_cache off;', 'proxy_cache vitrine;') : conf;
}

/** Starts nginx with a main configuration that includes `vitrine.conf`. */
async function startNginx(target: string, isCaching: boolean): Promise<Proxy> {
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-test-'));
  const ports = { http: await findFreePort(), https: await findFreePort() };
  await mkdir(join(folder, 'cache'));
  await writeFile(join(folder, 'vitrine.conf'), adaptConfiguration(folder, ports, target, isCaching));
  const temporaryPaths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  );
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  await writeFile(
    join(folder, 'nginx.conf'),
    `daemon off; ${user} pid ${folder}/nginx.pid; error_log ${folder}/error.log; events {}
     http { access_log off; ${temporaryPaths.join(' ')} include ${folder}/vitrine.conf; }`,
  );
  const outputArgs = ['-keyout', join(folder, 'privkey.pem'), '-out', join(folder, 'fullchain.pem')];
  const certificateArgs = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=pictures.example.com',
  ];
  expect(spawnSync('openssl', [...certificateArgs, ...outputArgs]).status).toBe(0);
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')];
  const configurationTest = spawnSync('nginx', ['-t', ...args], { encoding: 'utf8' });
  expect(configurationTest.status, configurationTest.stderr).toBe(0);
  expect(configurationTest.stderr).not.toContain('[warn]');
  const child = spawn('nginx', args, { stdio: 'ignore' });
  onTestFinished(async () => {
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
    await rm(folder, { recursive: true, force: true });
  });
  const proxy = { httpUrl: `http://127.0.0.1:${ports.http}`, httpsUrl: `https://127.0.0.1:${ports.https}` };
  await waitUntilResponding(proxy.httpUrl);
  return proxy;
}

async function waitUntilResponding(url: string): Promise<void> {
  const deadline = performance.now() + waitTimeoutMs;
  while (performance.now() < deadline) {
    const isResponding = await fetch(url, { redirect: 'manual' }).then(
      () => true,
      () => false,
    );
    if (isResponding) return;
    await sleep(50);
  }
  throw new Error(`${url} does not respond.`);
}

/** A dispatcher that accepts the self-signed certificate. */
const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
const get = (url: string) => fetch(url, { dispatcher, redirect: 'manual' });

function send(base: string, bytes: Uint8Array) {
  const body = new FormData();
  body.append('file', new Blob([new Uint8Array(bytes)]), 'photo.jpg');
  return fetch(`${base}/v1/images`, { method: 'POST', body, dispatcher });
}

describe.runIf(missingPrograms.length === 0)('nginx in front of a server', () => {
  const server = useServer();

  test('redirects to HTTPS, forwards requests, and leaves the size limit to Vitrine', async () => {
    const { url } = server();
    const { httpUrl, httpsUrl } = await startNginx(url, false);
    const redirect = await get(`${httpUrl}/healthz`);
    expect([redirect.status, redirect.headers.get('location')]).toEqual([301, 'https://127.0.0.1/healthz']);
    expect((await get(`${httpsUrl}/healthz`)).status).toBe(200);

    const uploadResponse = await send(httpsUrl, await jpeg('nginx'));
    expect(uploadResponse.status).toBe(201);
    const { renditions } = (await uploadResponse.json()) as ImageRecord;
    const rendition = await get(`${httpsUrl}${renditions[0]?.url}`);
    expect(rendition.status).toBe(200);
    expect(rendition.headers.get('cache-control')).toContain('immutable');
    expect(rendition.headers.get('x-cache')).toBeNull();

    const largeResponse = await send(httpsUrl, new Uint8Array(10 * 2 ** 20 + 1));
    expect(largeResponse.status).toBe(413);
    expect(await largeResponse.json()).toMatchObject({ code: 'body_too_large' });
  });

  test('forwards the host name, so that only same-origin pages may make changes', async () => {
    const { PUBLIC_URL = '' } = parseEnv(
      await readFile(new URL('../../deploy/systemd/vitrine.env.example', import.meta.url), 'utf8'),
    );
    const { hostname } = new URL(PUBLIC_URL);
    expect(source.match(/(?<=server_name ).+(?=;)/g)).toEqual([hostname, hostname]);
    const publicServer = await startServer({ PUBLIC_URL });
    const { httpsUrl } = await startNginx(publicServer.url, false);
    const fetchStatus = async (host: string, origin: string) => {
      const headers = { host, origin };
      const response = await request(`${httpsUrl}/nothing-here`, { method: 'POST', headers, dispatcher });
      await response.body.dump();
      return response.statusCode;
    };
    expect(await fetchStatus(hostname, `https://${hostname}`)).toBe(404);
    expect(await fetchStatus(hostname, 'https://evil.example')).toBe(403);
    expect(await fetchStatus('evil.example', 'https://evil.example')).toBe(421);
  });

  test('caches only immutable renditions if caching is enabled', async () => {
    const { url } = server();
    const { httpsUrl } = await startNginx(url, true);
    const { id, renditions } = (await (await send(httpsUrl, await jpeg('cached'))).json()) as ImageRecord;
    const immutableUrl = `${httpsUrl}${renditions[0]?.url}`;
    const fetchCacheStatus = async (url: string) => {
      const response = await get(url);
      await response.arrayBuffer();
      return [response.status, response.headers.get('x-cache')];
    };
    expect(await fetchCacheStatus(immutableUrl)).toEqual([200, 'MISS']);
    expect(await fetchCacheStatus(immutableUrl)).toEqual([200, 'HIT']);
    const mutableUrl = `${httpsUrl}/v1/images/${id}/renditions/thumb`;
    expect(await fetchCacheStatus(mutableUrl)).toEqual([200, 'MISS']);
    expect(await fetchCacheStatus(mutableUrl)).toEqual([200, 'MISS']);
  });
});

describe('vitrine.conf', () => {
  test('has higher limits than Vitrine', () => {
    const maxBodyBytes = Number(/client_max_body_size (\d+)m;/.exec(source)?.[1]) * 2 ** 20;
    expect(maxBodyBytes).toBeGreaterThan(Number(settings.uploads.maxBytes.fallback));
    const readTimeoutSeconds = Number(/proxy_read_timeout (\d+)s;/.exec(source)?.[1]);
    expect(readTimeoutSeconds).toBeGreaterThan(Number(settings.server.inlineMs.fallback));
    expect(source).toContain('proxy_request_buffering off;');
  });
});
