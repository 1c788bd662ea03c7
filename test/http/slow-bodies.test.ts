import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { stagedFiles } from '../support/process/data-folder.ts';
import { call } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';
import { chunk, connectRaw, formEnd, formHead, partHead } from '../support/process/socket.ts';

const server = useServer({ BODY_IDLE_SECONDS: '1', REQUEST_SECONDS: '4' });
let picture: Buffer;
beforeAll(async () => {
  picture = await jpeg('slow');
});

const listStagedFiles = () => stagedFiles(join(server().dataDir, 'storage', '.staging'));
const expectAlive = async () => expect((await call(`${server().url}/healthz`)).status).toBe(200);

/** Waits until staging is empty. Files are removed when their request ends. */
async function expectNothingStaged(): Promise<void> {
  await expect.poll(listStagedFiles).toEqual([]);
}

test('returns 408 for a stalled body', async () => {
  const responses = ['', partHead, `${partHead}some bytes of a file`].map(async (sent) => {
    const connection = await connectRaw(server().url);
    await connection.write(formHead('/v1/images', 50_000) + sent);
    const response = await connection.until(/"code":"request_timeout"/);
    await connection.closed();
    return response;
  });
  for (const response of await Promise.all(responses)) expect(response).toMatch(/^HTTP\/1\.1 408 .*1 s/s);
  await expectNothingStaged();
});

test('returns 408 for a body that arrives too slowly', async () => {
  const connection = await connectRaw(server().url);
  await connection.write(formHead('/upload/', 50_000) + partHead);
  for (let writes = 0; writes < 25 && !connection.socket.destroyed; writes += 1) {
    await connection.write('x');
    await sleep(300);
  }
  expect(connection.received()).toMatch(/^HTTP\/1\.1 408 .*request_timeout/s);
  await expectNothingStaged();
});

test('accepts a slow body with short pauses', async () => {
  const connection = await connectRaw(server().url);
  const body = Buffer.concat([Buffer.from(partHead), picture, Buffer.from(formEnd)]);
  await connection.write(formHead('/v1/images', body.length));
  const step = Math.ceil(body.length / 5);
  for (let offset = 0; offset < body.length; offset += step) {
    await connection.write(body.subarray(offset, offset + step));
    await sleep(300);
  }
  await connection.until(/^HTTP\/1\.1 201 /);
  connection.socket.destroy();
});

test.each([
  ['closes', false],
  ['resets', true],
])('removes a partial upload if the client %s the connection', async (_signal, isReset) => {
  for (let round = 0; round < 10; round += 1) {
    const connection = await connectRaw(server().url);
    await connection.write(formHead('/v1/images', 500_000) + partHead);
    await connection.write(picture.subarray(0, 1_000 * round));
    if (round % 2 === 0) await sleep(30);
    if (isReset) connection.socket.resetAndDestroy();
    else connection.socket.destroy();
  }
  await expectNothingStaged();
  await expectAlive();
});

test('accepts a form if more bytes follow its closing boundary in a separate packet', async () => {
  for (const epilogue of ['\r\n', 'text after the end', '\r\n\r\n']) {
    const connection = await connectRaw(server().url);
    await connection.write(formHead('/v1/images'));
    for (const part of [partHead, picture, formEnd]) await connection.write(chunk(part));
    await sleep(100);
    await connection.write(chunk(epilogue));
    await sleep(100);
    await connection.write('0\r\n\r\n');
    await connection.until(/^HTTP\/1\.1 20[01] /);
    connection.socket.destroy();
  }
});

test('parses a body that arrives byte by byte around its boundaries', async () => {
  const connection = await connectRaw(server().url);
  await connection.write(formHead('/v1/images'));
  for (const byte of partHead) await connection.write(chunk(byte));
  await connection.write(chunk(picture));
  for (const byte of formEnd) await connection.write(chunk(byte));
  await connection.write('0\r\n\r\n');
  await connection.until(/^HTTP\/1\.1 20[01] /);
  connection.socket.destroy();
});

test('returns 408 for unfinished headers and closes the connection', async () => {
  const connection = await connectRaw(server().url);
  await connection.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: ');
  expect(await connection.until(/request_timeout/)).toMatch(/^HTTP\/1\.1 408 /);
  await connection.closed();
});

test('returns 431 for headers that are too large', async () => {
  for (const headers of [`x-large: ${'x'.repeat(20_000)}\r\n`, 'x-many: 0123456789\r\n'.repeat(2_000)]) {
    const connection = await connectRaw(server().url);
    await connection.write(`GET /healthz HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n`);
    expect(await connection.until(/headers_too_large/)).toMatch(/^HTTP\/1\.1 431 .*16384 bytes/s);
    await connection.closed();
  }
  await expectAlive();
});
