import { describe, expect, test } from 'vitest';
import { call, expectProblem, upload } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { jpeg } from '../support/process/pictures.ts';
import { startServer, useServer } from '../support/process/server.ts';

const token = 'öffne dich';
/** Encodes non-ASCII text in a header as HTTP clients do. */
const makeTokenHeader = (text: string) => ({
  'x-confirm-token': Buffer.from(text, 'utf8').toString('latin1'),
});
const exposedServer = useServer({
  HOST: '0.0.0.0',
  AUTH: 'open',
  PURGE_CONFIRM_TOKEN: token,
  LOG_FORMAT: 'json',
});

/** Requests that remove images, one for each purge operation. */
const purges = [
  { path: '/v1/purge', body: { dry_run: false } },
  { path: '/v1/purge/deleted', body: { dry_run: false, days: 0 } },
  { path: '/purge/?dry_run=false&days=0', body: {} },
] as const;

const post = (url: string, value: object, headers: Record<string, string> = {}) =>
  call(url, {
    method: 'POST',
    body: JSON.stringify(value),
    headers: { 'content-type': 'application/json', ...headers },
  });

/** Tries to restore an image, and returns whether the image was restored. */
async function restoreImage(base: string, id: number): Promise<boolean> {
  return (await call(`${base}/v1/images/${id}/restore`, { method: 'POST' })).status === 200;
}

/** Uploads an image, deletes it, and returns its id. */
async function uploadAndDelete(base: string, name: string): Promise<number> {
  const { id } = (await upload(base, await jpeg(name), 'purged')).body;
  await call(`${base}/v1/images/${id}`, { method: 'DELETE' });
  return id;
}

describe('a server that other machines can reach', () => {
  test.each(purges)('requires the token at $path', async ({ path, body }) => {
    const base = exposedServer().url;
    const id = await uploadAndDelete(base, path);
    const rejectedRequests = [
      post(base + path, body),
      post(base + path, { ...body, confirm_token: 'DELETE_CONFIRMED' }),
      post(base + path, { ...body, confirm_token: '' }),
      post(base + path, body, makeTokenHeader('wrong')),
      post(base + path, { ...body, confirm_token: 'wrong' }, makeTokenHeader(token)),
      post(base + path, { ...body, confirm_token: token }, makeTokenHeader('wrong')),
    ];
    for (const response of await Promise.all(rejectedRequests)) {
      const detail = expectProblem(response, 403, 'purge_refused');
      expect(detail).toMatch(/confirm_token/);
      expect(detail).not.toContain(token);
    }
    expect(await restoreImage(base, id)).toBe(true);

    const urlPrefix = `${base}${path}${path.includes('?') ? '&' : '?'}`;
    for (const name of ['confirm_token', 'Confirm-Token', 'x-confirm-token', '%63onfirm_token', 'token'])
      for (const headers of [{}, makeTokenHeader(token)]) {
        const response = await post(`${urlPrefix}${name}=${encodeURIComponent(token)}`, body, headers);
        expect(expectProblem(response, 400, 'invalid_request'), name).toMatch(/header X-Confirm-Token/);
      }
    expect(await restoreImage(base, id)).toBe(true);

    for (const [value, headers] of [
      [{ ...body, confirm_token: token }, {}],
      [body, makeTokenHeader(token)],
      [{ ...body, confirm_token: token }, makeTokenHeader(token)],
    ] as const)
      expect((await post(base + path, value, headers)).status).toBe(200);
  });

  test('allows dry runs without a token', async () => {
    const base = exposedServer().url;
    for (const path of ['/v1/purge', '/v1/purge/deleted', '/purge/', '/purge/?dry_run=true'])
      expect((await call(base + path, { method: 'POST' })).body['dry_run'], path).toBe(true);
  });

  test('rejects every purge if no token is configured, and reports the setting', async () => {
    const { url } = await startServer({ AUTH: 'open', PUBLIC_URL: 'https://pictures.example.com' });
    for (const { path, body } of purges) {
      const response = await post(url + path, { ...body, confirm_token: 'DELETE_CONFIRMED' });
      expect(expectProblem(response, 403, 'purge_refused'), path).toMatch(/Set it and restart/);
    }
  });

  test('accepts the token that the purge command sends in a header', async () => {
    const { url } = exposedServer();
    const id = await uploadAndDelete(url, 'purged by command');
    const purge = (...args: string[]) =>
      runVitrine(['purge', '--url', url, '--days', '0', '--confirm', ...args], { LOG_LEVEL: 'silent' });
    expect(await purge('--token', 'wrong')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('does not match PURGE_CONFIRM_TOKEN') as string,
    });
    expect(await restoreImage(url, id)).toBe(true);
    await call(`${url}/v1/images/${id}`, { method: 'DELETE' });
    expect(await purge('--token', token)).toMatchObject({ code: 0 });
    expect(await restoreImage(url, id)).toBe(false);
    expect(exposedServer().log()).not.toContain(token);
    expect(exposedServer().log()).not.toContain('wrong');
  });

  test('reports in its log, in the health report and in vitrine doctor that other machines can reach it', async () => {
    const { url, dataDir } = exposedServer();
    expect(exposedServer().log()).toMatch(/"level":"warn".*HOST is 0\.0\.0\.0.*no access control/);
    const healthResponse = await call<{ warnings: string[] }>(`${url}/api/v1/health/detailed`);
    expect(healthResponse.body.warnings[0]).toMatch(/HOST is 0\.0\.0\.0/);
    const { stdout } = await runVitrine(['doctor'], { HOST: '0.0.0.0', AUTH: 'open', DATA_DIR: dataDir });
    expect(stdout).toMatch(/^note {2}HOST is 0\.0\.0\.0.*no access control/m);
  });
});

test('on loopback, requires a token to purge unused images, but not to purge deleted images', async () => {
  const { url } = await startServer();
  expect((await post(`${url}/v1/purge`, { dry_run: false })).status).toBe(403);
  for (const { path, body } of purges.slice(1)) expect((await post(url + path, body)).status, path).toBe(200);
  const confirmedPurge = { dry_run: false, confirm_token: 'DELETE_CONFIRMED' };
  expect((await post(`${url}/v1/purge`, confirmedPurge)).status).toBe(200);
  expect((await call(`${url}/api/v1/health/detailed`)).body).not.toHaveProperty('warnings');
});

test('logs deletions, restorations and purges with their count, tenant and caller', async () => {
  const { url } = exposedServer();
  const { id } = (await upload(url, await jpeg('logged'), 'logged')).body;
  const forwardedHeaders = { 'x-forwarded-for': '203.0.113.9, 198.51.100.7' };
  await call(`${url}/v1/images/${id}`, { method: 'DELETE', headers: forwardedHeaders });
  await call(`${url}/v1/images/${id}/restore`, { method: 'POST', headers: forwardedHeaders });
  const invalidForwardedHeaders = { 'x-forwarded-for': `unknown ${'x'.repeat(99)}` };
  await call(`${url}/v1/images/${id}`, { method: 'DELETE', headers: invalidForwardedHeaders });
  await post(
    `${url}/v1/purge/deleted`,
    { dry_run: false, days: 0 },
    { ...makeTokenHeader(token), ...forwardedHeaders },
  );
  const readLogLines = () =>
    exposedServer()
      .log()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const caller = { address: '127.0.0.1', forwardedFor: '198.51.100.7' };
  const imageFields = { image: id, tenant: 'logged', count: 1 };
  const expectedLines = [
    { ...imageFields, ...caller, msg: `image ${id} of tenant logged was deleted` },
    { ...imageFields, ...caller, msg: `image ${id} of tenant logged was restored` },
    {
      ...imageFields,
      forwardedFor: `unknown ${'x'.repeat(56)}`,
      msg: `image ${id} of tenant logged was deleted`,
    },
    { images: 1, days: 0, ...caller, msg: 'purge finished; deleted images removed: 1' },
  ];
  for (const line of expectedLines)
    await expect.poll(readLogLines).toContainEqual(expect.objectContaining(line) as Record<string, unknown>);
  const rejectedPurge = {
    scope: 'deleted',
    address: '127.0.0.1',
    msg: 'a purge of deleted images was rejected',
  };
  await post(`${url}/v1/purge/deleted`, { dry_run: false });
  await expect
    .poll(readLogLines)
    .toContainEqual(expect.objectContaining(rejectedPurge) as Record<string, unknown>);
});
