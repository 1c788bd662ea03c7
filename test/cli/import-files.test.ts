import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeApiClient } from '../../src/cli/api-client.ts';
import { runImportCommand } from '../../src/cli/import/import-command.ts';
import { importFiles } from '../../src/cli/import/import-files.ts';

let folder: string;
let server: Server;
let uploadCount: number;
let respondToUpload: (body: string) => { status: number; body: object };
let imageStatus: string;

const record = { id: 1, uuid: 'u', error: null, original_filename: 'a.jpg', renditions: [] };

async function reply(request: IncomingMessage, response: ServerResponse): Promise<void> {
  // An interrupted import aborts its uploads.
  const body = await text(request).catch(() => undefined);
  if (body === undefined) return;
  let scriptedResponse: { status: number; body: object } = { status: 200, body: {} };
  if (request.method === 'POST') {
    uploadCount += 1;
    scriptedResponse = respondToUpload(body);
  } else if (request.url?.startsWith('/v1/images/')) {
    scriptedResponse = { status: 200, body: { ...record, status: imageStatus, error: 'It is damaged.' } };
  }
  response
    .writeHead(scriptedResponse.status, { 'content-type': 'application/json' })
    .end(JSON.stringify(scriptedResponse.body));
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vitrine-import-'));
  uploadCount = 0;
  imageStatus = 'completed';
  server = createServer((request, response) => void reply(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

async function writePictures(count: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (let index = 0; index < count; index += 1)
    await writeFile(join(folder, `${index}.jpg`), `picture ${index}`);
}

function makeOptions(inputs = [folder]) {
  const { port } = server.address() as AddressInfo;
  const client = makeApiClient({ baseUrl: `http://127.0.0.1:${port}`, retryDelays: [1] });
  return { inputs, client, tenant: 'shop', output: { write: () => true } };
}

test('reports rejected and missing files with their reasons', async () => {
  await writePictures(3);
  respondToUpload = (body) =>
    body.includes('picture 1')
      ? { status: 400, body: { code: 'not_a_picture', detail: 'This is text.' } }
      : { status: 201, body: { ...record, status: 'completed' } };
  const missingPath = join(folder, 'none');
  const summary = await importFiles(makeOptions([folder, missingPath]));
  expect(summary).toMatchObject({
    found: 4,
    new: 2,
    refused: [{ file: join(folder, '1.jpg'), code: 'not_a_picture', reason: 'This is text.' }],
    failed: [{ file: missingPath, code: 'unreadable', reason: 'No such file or folder.' }],
    notFinished: 0,
    stopped: null,
  });
});

test('counts a queued picture as refused if its processing fails', async () => {
  await writePictures(1);
  imageStatus = 'failed';
  respondToUpload = () => ({ status: 202, body: { ...record, status: 'pending' } });
  const summary = await importFiles({ ...makeOptions(), mode: 'queued' });
  expect(summary).toMatchObject({
    new: 0,
    refused: [{ code: 'processing_failed', reason: 'It is damaged.' }],
  });
});

test('stops when the server keeps failing', async () => {
  await writePictures(40);
  respondToUpload = () => ({ status: 503, body: {} });
  const summary = await importFiles(makeOptions());
  expect(summary.stopped).toBe('server-lost');
  expect(summary.failed.length).toBeLessThan(20);
  expect(summary.failed.length + summary.notFinished).toBe(40);
});

test.each([
  [
    { status: 401, body: { code: 'unauthenticated' } },
    'The server requires an API key: set VITRINE_API_KEY.',
  ],
  [{ status: 403, body: { code: 'missing_scope', detail: 'It lacks a scope.' } }, 'It lacks a scope.'],
  [{ status: 403, body: { code: 'tenant_not_allowed', detail: 'Other tenant.' } }, 'Other tenant.'],
])('stops at the first response that denies access (%j)', async (response, denial) => {
  await writePictures(30);
  respondToUpload = () => response;
  const summary = await importFiles({ ...makeOptions(), concurrency: 2 });
  expect(summary).toMatchObject({
    refused: [],
    failed: [],
    notFinished: 30,
    stopped: 'access-denied',
    denial,
  });
  expect(uploadCount).toBeLessThanOrEqual(2);
});

test('stops on an interrupt and reports the counts up to that point', async () => {
  await writePictures(30);
  const abort = new AbortController();
  respondToUpload = () => {
    if (uploadCount > 10) abort.abort();
    return { status: 201, body: { ...record, status: 'completed' } };
  };
  const summary = await importFiles({ ...makeOptions(), signal: abort.signal });
  expect(summary).toMatchObject({ found: 30, failed: [], stopped: 'interrupted' });
  expect(summary.new).toBeGreaterThan(0);
  expect(summary.new + summary.notFinished).toBe(30);
  expect(uploadCount).toBeLessThan(20);
});

test('suggests how to start a server if none is running', async () => {
  await writePictures(1);
  const importOptions = makeOptions();
  server.close();
  await once(server, 'close');
  let stderr = '';
  const errorOutput = { write: (text: string) => (stderr += text) };
  expect(await runImportCommand({ ...importOptions, errorOutput })).toBe(1);
  expect(stderr).toMatch(
    /^No response from http.*\nStart a server with "vitrine serve", or specify a different server with --url/,
  );
});

test('prints the summary as JSON if requested', async () => {
  await writePictures(1);
  respondToUpload = () => ({ status: 200, body: { ...record, status: 'completed' } });
  let stdout = '';
  const output = { write: (text: string) => (stdout += text) };
  const errorOutput = { write: () => true };
  expect(await runImportCommand({ ...makeOptions(), output, errorOutput, json: true })).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ found: 1, known: 1, refused: [] });
});
