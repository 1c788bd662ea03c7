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

const readConfiguration = (name: string) =>
  readFile(new URL(`../../deploy/nginx/${name}`, import.meta.url), 'utf8');
const source = await readConfiguration('vitrine.conf');
const olderClientsSource = await readConfiguration('vitrine-older-clients.conf');
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
  /** URL at which nginx adds the API key. */
  readonly olderClientsUrl: string;
  readonly readLog: () => Promise<string>;
}

interface ProxyOptions {
  readonly isCaching?: boolean;
  /** The key that nginx adds for older clients. */
  readonly key?: string;
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
    .replaceAll('/var/log/nginx', folder)
    .replace('/var/cache/nginx', `${folder}/cache`);
  return isCaching ? conf.replace('proxy_cache off;', 'proxy_cache vitrine;') : conf;
}

/** Starts nginx with a main configuration that includes `vitrine.conf`. */
async function startNginx(
  target: string,
  { isCaching = false, key = 'unused' }: ProxyOptions = {},
): Promise<Proxy> {
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-test-'));
  const [http, https, olderClients] = [await findFreePort(), await findFreePort(), await findFreePort()];
  const ports = { http, https };
  await mkdir(join(folder, 'cache'));
  await writeFile(join(folder, 'vitrine.conf'), adaptConfiguration(folder, ports, target, isCaching));
  const olderClientsConfiguration = olderClientsSource
    .replace('listen 127.0.0.1:8080;', `listen 127.0.0.1:${olderClients};`)
    .replace('/etc/nginx/vitrine-key.conf', `${folder}/vitrine-key.conf`)
    .replaceAll('/var/log/nginx', folder);
  await writeFile(join(folder, 'vitrine-older-clients.conf'), olderClientsConfiguration);
  // The line that the configuration describes.
  const [keyLine = ''] = /proxy_set_header X-Api-Key "vitrine_…";/.exec(olderClientsSource) ?? [];
  await writeFile(join(folder, 'vitrine-key.conf'), keyLine.replace('vitrine_…', key), { mode: 0o600 });
  const temporaryPaths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  );
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  await writeFile(
    join(folder, 'nginx.conf'),
    `daemon off; ${user} pid ${folder}/nginx.pid; error_log ${folder}/error.log; events {}
     http { access_log off; ${temporaryPaths.join(' ')} include ${folder}/vitrine.conf; include ${folder}/vitrine-older-clients.conf; }`,
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
  const proxy = {
    httpUrl: `http://127.0.0.1:${http}`,
    httpsUrl: `https://127.0.0.1:${https}`,
    olderClientsUrl: `http://127.0.0.1:${olderClients}`,
    readLog: () => readFile(join(folder, 'vitrine.log'), 'utf8'),
  };
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
const get = (url: string, headers: Record<string, string> = {}) =>
  fetch(url, { dispatcher, headers, redirect: 'manual' });

function send(base: string, bytes: Uint8Array, headers: Record<string, string> = {}) {
  const body = new FormData();
  body.append('file', new Blob([new Uint8Array(bytes)]), 'photo.jpg');
  return fetch(`${base}/v1/images`, { method: 'POST', body, headers, dispatcher });
}

describe.runIf(missingPrograms.length === 0)('nginx in front of a server', () => {
  const server = useServer();

  test('redirects to HTTPS, forwards requests, and leaves the size limit to Vitrine', async () => {
    const { url } = server();
    const { httpUrl, httpsUrl } = await startNginx(url);
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
    const publicServer = await startServer({ PUBLIC_URL, AUTH: 'open' });
    const { httpsUrl } = await startNginx(publicServer.url);
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
    const { httpsUrl } = await startNginx(url, { isCaching: true });
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

describe.runIf(missingPrograms.length === 0)('nginx in front of a server with keys', () => {
  const key = 'a-key-of-tests-0123456789-0123456789';
  const withKey = { authorization: `Bearer ${key}` };
  const server = useServer({
    AUTH: 'keys',
    PUBLIC_URL: 'https://pictures.example.com',
    BOOTSTRAP_ADMIN_KEY: key,
  });

  test('forwards the keys of clients, and caches nothing that needed one', async () => {
    const { httpsUrl } = await startNginx(server().url, { isCaching: true });
    expect((await get(`${httpsUrl}/v1/images`)).status).toBe(401);
    expect((await get(`${httpsUrl}/v1/images`, { 'x-api-key': key })).status).toBe(200);
    const { renditions } = (await (
      await send(httpsUrl, await jpeg('with a key'), withKey)
    ).json()) as ImageRecord;
    const url = `${httpsUrl}${renditions[0]?.url}`;
    for (const expectedStatus of [200, 200]) {
      const response = await get(url, withKey);
      await response.arrayBuffer();
      expect([response.status, response.headers.get('x-cache')]).toEqual([expectedStatus, 'MISS']);
    }
    expect((await get(url)).status).toBe(401);
  });

  test('adds the key of older clients at their own name, in place of whatever they send', async () => {
    const { httpsUrl, olderClientsUrl } = await startNginx(server().url, { key });
    for (const headers of [{}, { 'x-api-key': 'wrong' }, { authorization: 'Bearer wrong' }] as Record<
      string,
      string
    >[]) {
      expect((await get(`${olderClientsUrl}/metrics/`, headers)).status).toBe(200);
      expect((await get(`${httpsUrl}/metrics/`, headers)).status).toBe(401);
    }
    const { status } = await send(olderClientsUrl, await jpeg('older client'));
    expect(status).toBe(201);
    // A web page on this machine can reach the port, but not under a name of its own, and it may not write.
    const rebound = await request(`${olderClientsUrl}/v1/images`, { headers: { host: 'evil.example' } });
    await rebound.body.dump();
    expect(rebound.statusCode).toBe(421);
    const page = { origin: 'https://evil.example' };
    expect((await send(olderClientsUrl, await jpeg('foreign page'), page)).status).toBe(403);
  });

  test('logs neither keys nor the signatures of links', async () => {
    const { httpsUrl, olderClientsUrl, readLog } = await startNginx(server().url, { key });
    const { id } = (await (await send(httpsUrl, await jpeg('linked'), withKey)).json()) as ImageRecord;
    const created = await fetch(`${httpsUrl}/v1/images/${id}/links`, {
      method: 'POST',
      body: JSON.stringify({ preset: 'card', expires_in: 60 }),
      headers: { ...withKey, 'content-type': 'application/json' },
      dispatcher,
    });
    const link = new URL(((await created.json()) as { url: string }).url, httpsUrl);
    const target = `${httpsUrl}${link.pathname}${link.search}`;
    expect((await get(target, { referer: target })).status).toBe(200);
    await get(`${olderClientsUrl}/healthz?api_key=${key}`);
    await expect.poll(readLog).toContain('GET /healthz');
    expect(await readLog()).toContain(`GET ${link.pathname}" 200`);
    const secrets = [key, ...[...link.searchParams.values()].filter((value) => value.length > 20)];
    expect(secrets.length).toBeGreaterThan(1);
    for (const secret of secrets) expect(await readLog()).not.toContain(secret);
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
