import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { stagedFiles } from '../support/process/data-folder.ts';
import { call, expectProblem, form, upload } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { type Server, startServer, useServer } from '../support/process/server.ts';
import { boundary, chunk, connectRaw, formEnd, formHead, partHead } from '../support/process/socket.ts';

const server = useServer({ MAX_UPLOAD_BYTES: String(2 ** 20) });
const mibToBytes = (mib: number) => mib * 2 ** 20;

const listStagedFiles = ({ dataDir }: Server) => stagedFiles(join(dataDir, 'storage', '.staging'));

test('accepts a file of exactly the maximum size and rejects a file that is one byte larger', async () => {
  const { url } = server();
  const picture = await jpeg('limit');
  const paddedPicture = Buffer.concat([picture, Buffer.alloc(mibToBytes(1) - picture.length)]);
  expect((await upload(url, paddedPicture)).status).toBe(201);
  const body = form(['file', Buffer.concat([paddedPicture, Buffer.of(0)])]);
  const detail = expectProblem(
    await call(`${url}/v1/images`, { method: 'POST', body }),
    413,
    'body_too_large',
  );
  expect(detail).toMatch(/1048576 bytes \(1 MiB\)/);
});

test('rejects a body based on its Content-Length before reading it', async () => {
  const connection = await connectRaw(server().url);
  await connection.write(formHead('/v1/images', mibToBytes(30)));
  const response = await connection.until(/"code":"body_too_large"/);
  expect(response).toMatch(/^HTTP\/1\.1 413 .*application\/problem\+json.*The upload is 31457280 bytes/s);
  await connection.closed();
});

test('rejects a body without a length as soon as it exceeds the limit', async () => {
  const connection = await connectRaw(server().url);
  await connection.write(formHead('/upload/'));
  await connection.write(chunk(partHead));
  for (let sent = 0; sent < 3; sent += 1) await connection.write(chunk(Buffer.alloc(mibToBytes(0.5))));
  expect(await connection.until(/"code":"body_too_large"/)).toMatch(/^HTTP\/1\.1 413 .*1048576/s);
  connection.socket.destroy();
});

test('responds while the client is still sending a body that is too large, and then closes the connection', async () => {
  for (const length of [mibToBytes(30), undefined]) {
    const connection = await connectRaw(server().url);
    await connection.write(formHead('/v1/images', length));
    const block = Buffer.alloc(mibToBytes(0.25));
    await connection.write(length === undefined ? chunk(partHead) : partHead);
    // The client sends at a typical speed, so that it is still sending when the response arrives.
    let sent = 0;
    for (; sent < 120 && !connection.socket.destroyed; sent += 1) {
      await connection.write(length === undefined ? chunk(block) : block);
      await sleep(40);
    }
    await connection.closed();
    expect(connection.received(), String(length)).toMatch(/^HTTP\/1\.1 413 .*body_too_large/s);
    expect(sent, String(length)).toBeLessThan(120);
  }
});

test('delivers the response to a client that sends 30 MiB before it reads', async () => {
  for (const length of [mibToBytes(30) + partHead.length, undefined]) {
    const connection = await connectRaw(server().url);
    // A reset during the upload would discard the response before the client reads it.
    connection.socket.pause();
    await connection.write(formHead('/v1/images', length));
    const block = Buffer.alloc(mibToBytes(1));
    await connection.write(length === undefined ? chunk(partHead) : partHead);
    for (let sent = 0; sent < 30; sent += 1)
      await connection.write(length === undefined ? chunk(block) : block);
    connection.socket.resume();
    expect(await connection.until(/body_too_large/), String(length)).toMatch(/^HTTP\/1\.1 413 /);
    connection.socket.destroy();
  }
});

test('accepts a new request on a connection after receiving a rejected body completely', async () => {
  const connection = await connectRaw(server().url);
  const body = Buffer.concat([Buffer.from(partHead), Buffer.alloc(mibToBytes(2)), Buffer.from(formEnd)]);
  await connection.write(formHead('/v1/images', body.length));
  await connection.write(body);
  await connection.until(/"code":"body_too_large"/);
  await connection.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await connection.until(/HTTP\/1\.1 200 .*healthy/s);
  connection.socket.destroy();
});

test('removes rejected bodies from staging', async () => {
  await expect.poll(() => listStagedFiles(server())).toEqual([]);
});

test('rejects uploads with 507 while the disk is nearly full', async () => {
  const { url, ...fullServer } = await startServer({ MIN_FREE_DISK_MB: '1000000' });
  const body = form(['file', await jpeg('no room')]);
  const detail = expectProblem(await call(`${url}/v1/images`, { method: 'POST', body }), 507, 'storage_full');
  expect(detail).toMatch(/MiB left, but uploads need at least 1000000 MiB/);
  expect((await call(`${url}/v1/images`)).body).toMatchObject({ total: 0 });
  await expect.poll(() => listStagedFiles({ url, ...fullServer })).toEqual([]);
});

/** Returns the resident memory of a process, in MiB. */
function readResidentMib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Sends a file of `sizeMib` MiB that begins like a PNG. Returns the server’s peak memory during the upload, in MiB. */
async function sendLargeFile(url: string, pid: number, sizeMib: number): Promise<number> {
  const head = Buffer.concat([Buffer.from(partHead), Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')]);
  const connection = await connectRaw(url);
  await connection.write(formHead('/v1/images', head.length + mibToBytes(sizeMib) + formEnd.length));
  await connection.write(head);
  const block = Buffer.alloc(mibToBytes(1), boundary);
  let peakMib = 0;
  for (let sent = 0; sent < sizeMib; sent += 1) {
    await connection.write(block);
    peakMib = Math.max(peakMib, readResidentMib(pid));
  }
  await connection.write(formEnd);
  expect(await connection.until(/"code":"[a-z_]+"/)).toMatch(/^HTTP\/1\.1 400 .*PNG/s);
  connection.socket.destroy();
  return Math.max(peakMib, readResidentMib(pid));
}

test.runIf(process.platform === 'linux')(
  'does not use more memory for a larger file',
  { tags: 'slow' },
  async () => {
    const { url, pid } = await startServer({ MAX_UPLOAD_BYTES: String(mibToBytes(300)) });
    // The first upload is not measured, because later uploads reuse its memory.
    await sendLargeFile(url, pid, 100);
    const smallFilePeak = await sendLargeFile(url, pid, 40);
    // A server that buffers files would need 250 MiB more. Memory that is not yet garbage-collected can account for 100 MiB.
    expect((await sendLargeFile(url, pid, 290)) - smallFilePeak).toBeLessThan(180);
  },
);
