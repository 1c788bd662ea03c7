import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call, form, type ImageRecord } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';

/** Secrets that are sent to the server in every way. Each has a text that occurs nowhere else. */
const marks = {
  password: 'pa55m4rkword',
  query: 'qu3rym4rk',
  signature: '51gn4turem4rk',
  fragment: 'fr4gm3ntm4rk',
  secretKey: 'secret-key-of-the-server-m4rk-0123456789',
  bootstrapKey: 'bootstrap/key+of"the\\server=m4rk?0123456789',
};
const settings = {
  AUTH: 'keys',
  SECRET_KEY: marks.secretKey,
  BOOTSTRAP_ADMIN_KEY: marks.bootstrapKey,
  LOG_LEVEL: 'debug',
  LOG_FORMAT: 'json',
  IMPORT_ALLOWED_NETWORKS: '127.0.0.1/32',
};
const server = useServer(settings);
const origin = createServer();
/** Responses that nobody of the tenant received. */
const seenByOthers: string[] = [];
/** Responses to the tenant itself. */
const seenByTenant: string[] = [];
const keys = { admin: '', editor: '', rival: '' };
/** What a person may send by mistake, and the server must not repeat. */
const sentKeys: string[] = [];

beforeAll(async () => {
  const picture = await jpeg('mug');
  origin.on('request', ({ url = '' }, response) => {
    if (url.startsWith('/mug.jpg')) response.end(picture);
    else if (url.startsWith('/moved'))
      response
        .writeHead(302, { location: `ftp://u:${marks.password}@a.example/next.jpg?w=${marks.query}` })
        .end();
    else response.writeHead(404).end(`The page ${url} is missing.`);
  });
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  keys.admin = await createKey({ role: 'admin' });
  keys.editor = await createKey({ role: 'editor', tenant: 'shop' });
  keys.rival = await createKey({ role: 'editor', tenant: 'rival' });
  sentKeys.push(...Object.values(keys));
});

afterAll(() => {
  origin.close();
  origin.closeAllConnections();
});

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

async function createKey(request: object): Promise<string> {
  const { body } = await call<{ key: string }>(`${server().url}/v1/keys`, {
    method: 'POST',
    body: JSON.stringify({ name: 'marked', ...request }),
    headers: { 'x-api-key': marks.bootstrapKey, 'content-type': 'application/json' },
  });
  return body.key;
}

/** Sends a request. Keeps the whole response for the check at the end. */
async function send<Body>(
  path: string,
  key: string | undefined,
  init: Omit<RequestInit, 'headers'> & { readonly headers?: Readonly<Record<string, string>> } = {},
) {
  const response = await call<Body>(server().url + path, {
    redirect: 'manual',
    ...init,
    headers: { ...(key === undefined ? {} : bearer(key)), ...init.headers },
  });
  const text = `${path}: ${response.status} ${JSON.stringify([...response.headers])} ${response.bytes.toString()}`;
  (key === keys.editor ? seenByTenant : seenByOthers).push(text.slice(text.indexOf(':')));
  return response;
}

const post = <Body>(path: string, key: string | undefined, body: string, type = 'application/json') =>
  send<Body>(path, key, { method: 'POST', body, headers: { 'content-type': type } });

function sourceUrl(path: string): string {
  const { port } = origin.address() as AddressInfo;
  return `http://127.0.0.1:${port}${path}?crop=${marks.query}&sig=${marks.signature}#${marks.fragment}`;
}

async function waitUntilFinished(id: number): Promise<void> {
  await expect
    .poll(async () => (await send<ImageRecord>(`/v1/images/${id}`, keys.editor)).body.status)
    .toMatch(/completed|failed/);
}

describe('secrets', () => {
  test('of the sources of imports', async () => {
    const ids: number[] = [];
    for (const path of ['/mug.jpg', '/missing.jpg', '/moved.jpg']) {
      const { status, body } = await post<ImageRecord>(
        '/v1/images',
        keys.editor,
        JSON.stringify({ url: sourceUrl(path) }),
      );
      expect(status).toBe(202);
      ids.push(body.id);
      await waitUntilFinished(body.id);
    }
    const lines = [
      { url: sourceUrl('/other.jpg'), reference: 'page' },
      { url: `ftp://user:${marks.password}@a.example/?crop=${marks.query}` },
      { url: [`https://a.example/?crop=${marks.query}`] },
      { url: `https://a.example:99999/?crop=${marks.query}` },
    ];
    const receipt = await post<{ url: string }>('/v1/imports', keys.editor, JSON.stringify({ items: lines }));
    expect(receipt.status).toBe(202);
    const withPassword = `http://user:${marks.password}@127.0.0.1/a.jpg?crop=${marks.query}`;
    expect((await post('/v1/images', keys.editor, JSON.stringify({ url: withPassword }))).status).toBe(400);
    const csv = `url\n${withPassword}\n"${sourceUrl('/mug.jpg')}\n${sourceUrl('/csv.jpg')}\n`;
    await post('/v1/imports', keys.editor, csv, 'text/csv');
    await post('/v1/imports', keys.rival, `{"urls": ["${sourceUrl('/mug.jpg')}"`);
    const { body: shown } = await send<{ url: string }>(`/v1/images/${ids[0]}`, keys.editor);
    expect(shown.url).toContain(`crop=${marks.query}`);
    expect(shown.url).not.toContain(marks.signature);
    for (const key of [keys.admin, keys.rival, marks.bootstrapKey, undefined])
      for (const path of [
        ...ids.map((id) => `/v1/images/${id}`),
        '/v1/images',
        '/v1/images?tenant=shop',
        receipt.body.url,
        '/v1/jobs',
        '/v1/jobs?state=failed',
        '/v1/audit?limit=1000',
        '/v1/audit/export',
        '/v1/audit/verification',
        '/v1/keys',
        '/v1/usage',
        '/v1/metrics',
        '/metrics',
        '/api/v1/images/',
        '/api/v1/health/detailed',
        ...ids.map((id) => `/retrieve/asset/${id}`),
      ])
        await send(path, key);
    // The administrator sees where an image is from, but no more.
    const { body } = await send<{ url: string }>(`/v1/images/${ids[0]}`, keys.admin);
    expect(body.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/mug\.jpg\?\[hidden\]$/);
  });

  test('in the wrong place of a request', async () => {
    for (const key of [keys.editor, keys.admin, `${keys.admin}x`, marks.bootstrapKey, marks.secretKey]) {
      const text = encodeURIComponent(key);
      for (const path of [
        `/v1/images?api_key=${text}`,
        `/v1/images?limit=${text}`,
        `/v1/images/${text}`,
        `/v1/keys/${text}`,
        `/${text}`,
        `/upload/${text}`,
        `/v1/images/1/renditions/${text}?v=${text}`,
      ])
        for (const caller of [undefined, keys.admin]) await send(path, caller);
      await send('/v1/images', undefined, { headers: { 'x-api-key': `${key}1` } });
      await send('/v1/images', undefined, { headers: { authorization: `Basic ${btoa(`user:${key}`)}` } });
      await send('/v1/images', keys.rival, { headers: { 'idempotency-key': `${key} ` } });
      await post('/v1/images', keys.rival, JSON.stringify({ url: `http://${text}@a.example:1/x.jpg` }));
      await post('/v1/images', keys.rival, JSON.stringify({ url: `http://a.example:1/x.jpg?k=${text}` }));
      await post('/v1/images', keys.rival, JSON.stringify({ url: key, [key]: key, tenant: key }));
      await post('/v1/purge', keys.admin, JSON.stringify({ dry_run: false, confirm_token: key }));
      await post('/v1/keys', keys.admin, JSON.stringify({ name: 'x', role: key }));
      await send('/v1/images', keys.rival, { method: 'POST', body: form(['tenant', key], [key, 'x']) });
    }
  });

  test('of signed links', async () => {
    const upload = form(['file', await jpeg('linked')]);
    const { body } = await send<ImageRecord>('/v1/images', keys.editor, { method: 'POST', body: upload });
    const link = await post<{ url: string }>(
      `/v1/images/${body.id}/links`,
      keys.editor,
      JSON.stringify({ preset: 'card', expires_in: 60 }),
    );
    const signature = /signature=([\w-]+)/.exec(link.body.url)?.[1] ?? '';
    expect(signature.length).toBeGreaterThan(20);
    sentKeys.push(signature);
    for (const url of [
      link.body.url,
      `${link.body.url}x`,
      link.body.url.replace('card', 'zoom'),
      `${link.body.url}&a=b`,
    ])
      await send(url, undefined);
  });

  test('are shown by nothing that the server sends to others, logs or reports', async () => {
    const doctor = await runVitrine(['doctor'], { ...settings, DATA_DIR: server().dataDir });
    const audit = await runVitrine(['audit', 'export'], { ...settings, DATA_DIR: server().dataDir });
    expect(audit.stdout).toContain('"action":"import.create"');
    const log = server().log();
    expect(log).toContain('rejected: ');
    expect(log).toContain('[hidden]');
    const reports = [log, doctor.stdout, doctor.stderr, audit.stdout, audit.stderr];
    const { secretKey, bootstrapKey, ...sourceMarks } = marks;
    expectAbsent([...Object.values(sourceMarks), ...sentKeys], [...seenByOthers, ...reports]);
    // Error messages quote what was sent, if it is not recognisable as a key.
    expectAbsent([secretKey, bootstrapKey], reports);
    expectAbsent([marks.password, marks.signature, ...sentKeys.slice(0, 3)], seenByTenant);
  });
});

/** Expects that no output contains a secret, neither literally nor as it is written in JSON and in URLs. */
function expectAbsent(secrets: readonly string[], outputs: readonly string[]): void {
  for (const secret of secrets)
    for (const spelling of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
      expect(
        outputs.find((output) => output.includes(spelling)),
        spelling,
      ).toBeUndefined();
}
