import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeApiClient, ServerFailure } from '../../src/cli/api-client.ts';

interface ScriptedResponse {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

const image = { id: 7, uuid: '0198c0de-0000-7000-8000-000000000007', status: 'completed', error: null };

let folder: string;
let server: Server;
let requests: { url: string | undefined; body: string }[];
let script: ScriptedResponse[];

/** Sends the scripted responses in order, and then repeats the last response. */
async function reply(request: IncomingMessage, response: ServerResponse): Promise<void> {
  requests.push({ url: request.url, body: await text(request) });
  const scriptedResponse = (script.length > 1 ? script.shift() : script[0]) ?? { status: 500 };
  response.writeHead(scriptedResponse.status, {
    'content-type': 'application/json',
    ...scriptedResponse.headers,
  });
  response.end(JSON.stringify(scriptedResponse.body ?? {}));
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vitrine-client-'));
  await writeFile(join(folder, 'mug.jpg'), 'the bytes of a mug');
  requests = [];
  server = createServer((request, response) => void reply(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

function makeClient(retryDelays: readonly number[] = [5, 5, 5]) {
  const { port } = server.address() as AddressInfo;
  return makeApiClient({ baseUrl: `http://127.0.0.1:${port}/`, retryDelays });
}

function uploadOptions(mode: 'inline' | 'queued' = 'inline', signal?: AbortSignal) {
  return { path: join(folder, 'mug.jpg'), filename: 'mug.jpg', tenant: 'shop', mode, signal };
}

describe('uploadFile', () => {
  test('sends the file and the tenant as a form', async () => {
    script = [{ status: 201, body: image }];
    await makeClient().uploadFile(uploadOptions());
    expect(requests[0]?.url).toBe('/v1/images');
    expect(requests[0]?.body).toContain('name="file"; filename="mug.jpg"');
    expect(requests[0]?.body).toContain('the bytes of a mug');
    expect(requests[0]?.body).toMatch(/name="tenant"\r\n\r\nshop\r\n/);
  });

  test('requests queued processing in queued mode', async () => {
    script = [{ status: 202, body: { ...image, status: 'pending' } }];
    expect(await makeClient().uploadFile(uploadOptions('queued'))).toMatchObject({
      outcome: 'new',
      status: 'pending',
    });
    expect(requests[0]?.url).toBe('/v1/images?mode=queued');
  });

  test.each([
    [201, 'new'],
    [202, 'new'],
    [200, 'known'],
  ])('maps status %i to the outcome %s', async (status, outcome) => {
    script = [{ status, body: { ...image, unknown_field: true } }];
    expect(await makeClient().uploadFile(uploadOptions())).toEqual({ outcome, ...image });
  });

  test.each([400, 413, 507])(
    'reports the reason for a rejection with status %i, without retrying',
    async (status) => {
      script = [{ status, body: { code: 'not_a_picture', detail: 'This is text.' } }];
      expect(await makeClient().uploadFile(uploadOptions())).toEqual({
        outcome: 'refused',
        code: 'not_a_picture',
        reason: 'This is text.',
      });
      expect(requests).toHaveLength(1);
    },
  );

  test('reports a rejection without problem details', async () => {
    script = [{ status: 403, body: 'forbidden' }];
    expect(await makeClient().uploadFile(uploadOptions())).toEqual({
      outcome: 'refused',
      code: 'http_403',
      reason: 'The server responded with status 403.',
    });
  });

  test('resends the complete body after a server error', async () => {
    script = [{ status: 503 }, { status: 500 }, { status: 201, body: image }];
    expect(await makeClient().uploadFile(uploadOptions())).toMatchObject({ outcome: 'new' });
    expect(requests.map(({ body }) => body.includes('the bytes of a mug'))).toEqual([true, true, true]);
  });

  test('fails with a message after three retries', async () => {
    script = [{ status: 503, body: { code: 'unavailable', detail: 'The database is unavailable.' } }];
    const failure = makeClient().uploadFile(uploadOptions());
    await expect(failure).rejects.toThrow(ServerFailure);
    await expect(failure).rejects.toThrow('status 503: The database is unavailable.');
    expect(requests).toHaveLength(4);
  });

  test('waits for the delay in the Retry-After header instead of its own delay', async () => {
    script = [
      { status: 503, headers: { 'retry-after': '0' } },
      { status: 201, body: image },
    ];
    const startedAt = performance.now();
    await makeClient([60_000]).uploadFile(uploadOptions());
    expect(performance.now() - startedAt).toBeLessThan(30_000);
  });

  test('can be aborted while waiting for a retry', async () => {
    script = [{ status: 503 }];
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 50);
    await expect(makeClient([20_000]).uploadFile(uploadOptions('inline', abort.signal))).rejects.toThrow(
      'aborted',
    );
  });

  test("fails with the file system's error if the file is missing", async () => {
    const missingFile = { ...uploadOptions(), path: join(folder, 'none.jpg') };
    await expect(makeClient().uploadFile(missingFile)).rejects.toThrow();
    expect(requests).toHaveLength(0);
  });
});

test('includes an unreachable address in the error', async () => {
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const client = makeApiClient({ baseUrl: `http://127.0.0.1:${port}`, retryDelays: [1] });
  await expect(client.assertHealthy()).rejects.toThrow(
    `No response from http://127.0.0.1:${port} (connect ECONNREFUSED`,
  );
});

test('reports a server that is not Vitrine', async () => {
  script = [{ status: 404 }];
  await expect(makeClient().assertHealthy()).rejects.toThrow('does not look like a Vitrine server');
  script = [{ status: 201, body: { hello: 'world' } }];
  await expect(makeClient().uploadFile(uploadOptions())).rejects.toThrow('sent an unexpected response');
});

test('returns an image record with its renditions', async () => {
  const rendition = {
    id: 1,
    preset: 'zoom',
    url: '/z',
    size_bytes: 9,
    width: 3,
    height: 2,
    quality: 85,
    format: 'jpeg',
  };
  script = [{ status: 200, body: { ...image, original_filename: 'mug.jpg', renditions: [rendition] } }];
  expect(await makeClient().getImage(7)).toMatchObject({ id: 7, renditions: [rendition] });
  expect(requests[0]?.url).toBe('/v1/images/7');
});
