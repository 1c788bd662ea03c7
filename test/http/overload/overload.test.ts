import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { call, expectProblem, form, type ApiResponse } from '../../support/process/client.ts';
import { addComment, jpeg } from '../../support/process/pictures.ts';
import { startServer } from '../../support/process/server.ts';
import { connectRaw, formEnd, formHead, partHead } from '../../support/process/socket.ts';

let pictures: Buffer[];
beforeAll(async () => {
  pictures = await Promise.all(Array.from({ length: 80 }, (_, n) => jpeg(`overload ${n}`)));
});

let uploadCount = 0;
/** Uploads a picture that has not been uploaded before. A comment makes a repeated picture a new file. */
function uploadNew(url: string, { query = '', key }: { query?: string; key?: string } = {}) {
  const count = uploadCount++;
  const picture = addComment(pictures[count % pictures.length] ?? Buffer.alloc(0), `upload ${count}`);
  const headers = key === undefined ? {} : { 'x-api-key': key };
  return call(`${url}/v1/images${query}`, { method: 'POST', body: form(['file', picture]), headers });
}

function expectOverloaded(response: ApiResponse, reason: RegExp): void {
  expect(expectProblem(response, 503, 'overloaded')).toMatch(reason);
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
}

const readMetrics = async (url: string) =>
  (await call(`${url}/metrics`, { headers: { accept: 'text/plain' } })).bytes.toString();

test('refuses uploads beyond the limit in flight without reading them, while health answers', async () => {
  const { url } = await startServer({ MAX_UPLOADS_IN_FLIGHT: '2' });
  const slow = await connectRaw(url);
  await slow.write(formHead('/v1/images', 20_000) + partHead);
  await expect.poll(() => readMetrics(url)).toContain('vitrine_uploads{state="in_flight"} 1');

  const refused = await connectRaw(url);
  await refused.write(formHead('/v1/images', 5_000_000));
  const answer = await refused.until(/"code":"overloaded".*\}/);
  expect(answer).toMatch(/^HTTP\/1\.1 503 /);
  expect(answer).toMatch(/\r\nretry-after: \d+\r\n/);
  expect(answer).toMatch(/\r\nconnection: close\r\n/);
  expect(answer).toContain(
    '1 upload from this caller is being received or processed; the limit per caller is 1 (half of MAX_UPLOADS_IN_FLIGHT = 2).',
  );
  await refused.closed();

  // The connection of a small body is kept.
  const small = await connectRaw(url);
  await small.write(`${formHead('/v1/images', 100)}${'x'.repeat(100)}`);
  await small.until(/"code":"overloaded"/);
  await small.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await small.until(/HTTP\/1\.1 200 /);
  small.socket.destroy();

  expect((await call(`${url}/healthz`)).status).toBe(200);
  expect((await call(`${url}/v1/images`)).status).toBe(200);
  expect(await readMetrics(url)).toContain(
    'vitrine_requests_refused_total{work="upload",reason="in-flight"} 2',
  );
  slow.socket.destroy();
  await expect.poll(async () => (await uploadNew(url)).status).toBe(201);
});

test('a client that sends a large body reads why it is refused', async () => {
  const { url } = await startServer({ MAX_UPLOADS_IN_FLIGHT: '1' });
  const slow = await connectRaw(url);
  await slow.write(formHead('/v1/images', 20_000) + partHead);
  await expect.poll(() => readMetrics(url)).toContain('vitrine_uploads{state="in_flight"} 1');
  const large = form(['file', new Uint8Array(8_000_000)]);
  expectOverloaded(await call(`${url}/v1/images`, { method: 'POST', body: large }), /1 upload is/);
  slow.socket.destroy();
});

test('limits the bytes in flight by their declared size', async () => {
  const { url } = await startServer({ MAX_UPLOAD_MB_IN_FLIGHT: '1' });
  const slow = await connectRaw(url);
  await slow.write(formHead('/v1/images', 500_000) + partHead);
  await expect.poll(() => readMetrics(url)).toContain('vitrine_upload_bytes_in_flight 500000');
  const refused = await connectRaw(url);
  await refused.write(formHead('/v1/compare', 500_000));
  expect(await refused.until(/"code":"overloaded"/)).toContain(
    'Uploads of 500000 bytes from this caller are being received or processed, and this one may have 500000; the limit per caller is 524288 bytes',
  );
  // Without a declared size, the maximum counts.
  const chunked = await connectRaw(url);
  await chunked.write(formHead('/v1/images'));
  expect(await chunked.until(/"code":"overloaded"/)).toContain('this one may have 10747904');
  for (const { socket } of [slow, refused, chunked]) socket.destroy();
  await expect.poll(async () => (await uploadNew(url)).status).toBe(201);
});

test('a body that arrives slowly does not occupy a slot, and is accepted when it is complete', async () => {
  const { url } = await startServer({ MAX_ACTIVE_UPLOADS: '1', MAX_WAITING_UPLOADS: '0' });
  const picture = await jpeg('slow body');
  const slow = await connectRaw(url);
  await slow.write(formHead('/v1/images', partHead.length + picture.length + formEnd.length) + partHead);
  await expect.poll(async () => (await uploadNew(url)).status).toBe(201);
  await slow.write(Buffer.concat([picture, Buffer.from(formEnd)]));
  await slow.until(/^HTTP\/1\.1 201 /);
  slow.socket.destroy();
});

test('refuses uploads that it cannot process, and recovers', async () => {
  const { url } = await startServer({ MAX_ACTIVE_UPLOADS: '1', MAX_WAITING_UPLOADS: '2' });
  const responses = await Promise.all(Array.from({ length: 20 }, () => uploadNew(url)));
  const refused = responses.filter(({ status }) => status !== 201);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.length).toBeLessThan(20);
  for (const response of refused)
    expectOverloaded(
      response,
      / (?:1 upload is|\d+ uploads are) being processed \(MAX_ACTIVE_UPLOADS = 1\) and \d+ (?:is|are) waiting \(MAX_WAITING_UPLOADS = 2\)/,
    );
  await sleep(1_500);
  expect((await uploadNew(url)).status).toBe(201);
  expect(await readMetrics(url)).toContain('vitrine_overloaded 0');
});

test('one tenant cannot take the slots of another', async () => {
  const adminKey = 'the-key-of-the-administrator-of-this-test-server';
  const { url } = await startServer({
    AUTH: 'keys',
    BOOTSTRAP_ADMIN_KEY: adminKey,
    MAX_ACTIVE_UPLOADS: '2',
    MAX_WAITING_UPLOADS: '4',
  });
  const createKey = async (tenant: string) => {
    const { body } = await call(`${url}/v1/keys`, {
      method: 'POST',
      headers: { 'x-api-key': adminKey, 'content-type': 'application/json' },
      body: JSON.stringify({ name: tenant, role: 'editor', tenant }),
    });
    return String(body['key']);
  };
  const [large, small] = [await createKey('large'), await createKey('small')];
  const flooding = new AbortController();
  const statuses: number[] = [];
  const flood = Array.from({ length: 24 }, async () => {
    while (!flooding.signal.aborted) statuses.push((await uploadNew(url, { key: large })).status);
  });
  await expect.poll(() => statuses.includes(503)).toBe(true);
  for (let count = 0; count < 6; count += 1) expect((await uploadNew(url, { key: small })).status).toBe(201);
  flooding.abort();
  await Promise.all(flood);
  expect(statuses).toContain(201);
  expect(new Set(statuses)).toEqual(new Set([201, 503]));
});

test('refuses queued uploads and imports while the queue is long, but not inline uploads', async () => {
  const { url } = await startServer({ ENABLE_WORKER: 'false', MAX_QUEUED_JOBS: '1' });
  const queueUpload = () => uploadNew(url, { query: '?mode=queued' });
  await expect.poll(async () => (await queueUpload()).status).toBe(503);
  expectOverloaded(
    await queueUpload(),
    /contains \d+ derive jobs; the limit is 1 \(MAX_QUEUED_JOBS\)\. Try again in 30 s\.$/,
  );
  expectOverloaded(
    await call(`${url}/upload/`, { method: 'POST', body: form(['file', pictures[0] ?? '']) }),
    /derive jobs/,
  );
  expect((await uploadNew(url)).status).toBe(201);

  let line = 0;
  const importUrl = (path: string) => {
    const lines = [{ url: `https://example.com/${line++}.jpg` }];
    const body = JSON.stringify(path === '/v1/images' ? lines[0] : { urls: lines });
    return call(`${url}${path}`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  };
  await expect.poll(async () => (await importUrl('/v1/images')).status).toBe(503);
  expectOverloaded(
    await importUrl('/v1/images'),
    /contains \d+ import jobs; the limit is 1 \(MAX_QUEUED_JOBS\)\. Try again in 30 s\.$/,
  );
  expectOverloaded(await importUrl('/v1/imports'), /import jobs/);
  expect(await readMetrics(url)).toMatch(/vitrine_requests_refused_total\{work="import",reason="queue"\} \d/);
});

test('refuses queued uploads while a job has been waiting for too long', async () => {
  const { url } = await startServer({ ENABLE_WORKER: 'false', MAX_QUEUE_SECONDS: '1' });
  const queueUpload = () => uploadNew(url, { query: '?mode=queued' });
  expect((await queueUpload()).status).toBe(202);
  await expect.poll(async () => (await queueUpload()).status).toBe(503);
  expectOverloaded(
    await queueUpload(),
    /oldest derive job in its queue has been waiting for \d+ s; the limit is 1 s \(MAX_QUEUE_SECONDS\)\. /,
  );
});

test('refuses uploads and other requests while the process hardly responds, but not health checks', async () => {
  const { url, pid } = await startServer({ MAX_EVENT_LOOP_DELAY_MS: '50' });
  await expect.poll(async () => (await uploadNew(url)).status).toBe(201);
  const pausing = new AbortController();
  const pauses = (async () => {
    while (!pausing.signal.aborted) {
      process.kill(pid, 'SIGSTOP');
      await sleep(1_000);
      process.kill(pid, 'SIGCONT');
      // An upload has to end within 10 s, after which a measurement no longer counts.
      await sleep(40);
    }
  })();
  const pollOptions = { timeout: 60_000, interval: 10 };
  await expect.poll(async () => (await uploadNew(url)).status, pollOptions).toBe(503);
  expectOverloaded(
    await uploadNew(url),
    /delay of \d+ ms; the limit is 50 ms \(MAX_EVENT_LOOP_DELAY_MS\)\. /,
  );
  const list = () => call(`${url}/v1/images`);
  await expect.poll(async () => (await list()).status, pollOptions).toBe(503);
  expectOverloaded(
    await list(),
    /delay of \d+ ms; the limit is 200 ms \(4 times MAX_EVENT_LOOP_DELAY_MS\)\. /,
  );
  expect((await call(`${url}/healthz`)).status).toBe(200);
  expect(await readMetrics(url)).toMatch(
    /vitrine_requests_refused_total\{work="other",reason="event-loop"\} \d/,
  );
  pausing.abort();
  await pauses;
  await expect.poll(async () => (await uploadNew(url)).status).toBe(201);
});
