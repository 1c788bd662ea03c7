import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { call, waitForFinishedImage, upload, uploadQueued } from '../support/process/client.ts';
import { jpeg, sha256 } from '../support/process/pictures.ts';
import { type Server, startServer } from '../support/process/server.ts';
import { connectRaw, formHead, partHead } from '../support/process/socket.ts';

const cleanExit = { code: 0, signal: null };

/** With these settings, a blocked stop takes a minute. */
const minuteTimeouts = { SHUTDOWN_SECONDS: '60', BODY_IDLE_SECONDS: '60', IMPORT_IDLE_SECONDS: '60' };
/** A stop that is not blocked takes less time than this. */
const unblockedStopMs = 40_000;

test('exits cleanly during uploads and keeps every acknowledged upload', async () => {
  const firstServer = await startServer({ WORKER_CONCURRENCY: '2' });
  const pictures = await Promise.all(Array.from({ length: 16 }, (_, i) => jpeg(`stop ${i}`, 1600, 1200)));
  const acknowledged = new Map<number, string>();
  const uploads = pictures.map(async (bytes, index) => {
    const response = await (index % 2 === 0
      ? upload(firstServer.url, bytes, 'stop').then(({ status, body: { id } }) => ({ status, id }))
      : uploadQueued(firstServer.url, bytes, 'stop').then(({ status, body: { asset_id: id } }) => ({
          status,
          id,
        }))
    ).catch(() => undefined);
    if (response && response.status < 300) acknowledged.set(response.id, sha256(bytes));
  });
  await Promise.race(uploads);
  const exit = await firstServer.stop();
  expect(exit).toMatchObject(cleanExit);
  await Promise.all(uploads);
  expect(acknowledged.size).toBeGreaterThan(0);
  const secondServer = await startServer({}, firstServer.dataDir);
  for (const [id, hash] of acknowledged) {
    expect(await waitForFinishedImage(secondServer.url, id)).toMatchObject({
      status: 'completed',
      content_hash: hash,
    });
    expect(sha256((await call(`${secondServer.url}/v1/images/${id}/original`)).bytes)).toBe(hash);
  }
});

test('stops during a hanging download, and repeats the download after the restart', {
  tags: 'scenario',
}, async () => {
  const picture = await jpeg('slow origin', 400, 300);
  const firstRequest = Promise.withResolvers<void>();
  let requestCount = 0;
  const origin = createServer((_request, response) => {
    firstRequest.resolve();
    // The first request gets no response.
    if (requestCount++ > 0) response.setHeader('content-type', 'image/jpeg').end(picture);
  }).listen(0, '127.0.0.1');
  await once(origin, 'listening');
  onTestFinished(() => {
    origin.close();
    origin.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}/mug.jpg`;
  const env = { IMPORT_ALLOWED_NETWORKS: '127.0.0.1/32', ...minuteTimeouts };
  const firstServer = await startServer(env);
  const { body } = await call<{ id: number }>(`${firstServer.url}/v1/images`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ url }),
  });
  await firstRequest.promise;
  const exit = await firstServer.stop();
  expect(exit).toMatchObject(cleanExit);
  expect(exit.ms).toBeLessThan(unblockedStopMs);
  const secondServer = await startServer(env, firstServer.dataDir);
  expect(await waitForFinishedImage(secondServer.url, body.id)).toMatchObject({
    status: 'completed',
    content_hash: sha256(picture),
  });
});

/** Blocks a stop by starting an upload that never sends its body. */
async function blockStop(server: Server) {
  const connection = await connectRaw(server.url);
  // The interim response shows that the server has accepted the request.
  const head = formHead('/v1/images', 100_000).replace('\r\n\r\n', '\r\nexpect: 100-continue\r\n\r\n');
  await connection.write(head);
  await connection.until(/100 Continue/);
  await connection.write(partHead);
  return connection;
}

test('ignores further stop signals that arrive within a second of the first signal', async () => {
  const server = await startServer({ BODY_IDLE_SECONDS: '2' });
  await blockStop(server);
  const exitPromise = server.stop();
  for (let count = 0; count < 3; count += 1) {
    await sleep(50);
    process.kill(server.pid, 'SIGTERM');
    process.kill(server.pid, 'SIGINT');
  }
  const exit = await exitPromise;
  expect(exit).toMatchObject(cleanExit);
  expect(exit.ms).toBeGreaterThan(1_000);
  expect(server.log()).toContain('"msg":"stopped"');
});

test('exits immediately on a second stop signal that arrives more than a second after the first signal', async () => {
  const server = await startServer();
  await blockStop(server);
  const exitPromise = server.stop();
  await sleep(1_300);
  process.kill(server.pid, 'SIGTERM');
  const exit = await exitPromise;
  expect(exit).toMatchObject({ code: 130 });
});

test('stops quickly with idle connections open', { tags: 'scenario' }, async () => {
  const server = await startServer(minuteTimeouts);
  for (let count = 0; count < 5; count += 1) {
    const connection = await connectRaw(server.url);
    await connection.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await connection.until(/healthy/);
  }
  // This connection never sends a request.
  await connectRaw(server.url);
  const exit = await server.stop('SIGINT');
  expect(exit).toMatchObject(cleanExit);
  expect(exit.ms).toBeLessThan(unblockedStopMs);
});

test('stops after SHUTDOWN_SECONDS if a request never ends', async () => {
  const server = await startServer({ SHUTDOWN_SECONDS: '2', BODY_IDLE_SECONDS: '60' });
  const connection = await blockStop(server);
  const exit = await server.stop();
  expect(exit).toMatchObject(cleanExit);
  expect(exit.ms).toBeLessThan(unblockedStopMs);
  await connection.closed();
});
