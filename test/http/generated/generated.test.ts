import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiResponse, call } from '../../support/process/client.ts';
import { truncatedJpeg } from '../../support/process/pictures.ts';
import { useServer } from '../../support/process/server.ts';
import { document } from '../support/documented.ts';
import { useOrigin } from '../support/origin.ts';
import { sendRequest, forEachConcurrently, type Request, describeRequest } from './exchange.ts';
import { maxFileBytes } from './forms.ts';
import { checkResponse, expectProblem } from './check-response.ts';
import { type Operation, listOperations } from './operations.ts';
import {
  pairGetWithHead,
  makePreflights,
  makeWrongMethodRequests,
  generateUnknownPathRequests,
} from './other-requests.ts';
import { type Case, generateInvalidCases, type Sources, generateValidCases } from './requests.ts';
import { makeSources } from './sources.ts';
import { confirmToken, makePictures, fillServer, picturePaths } from './server-data.ts';
import { isThorough } from '../../support/thoroughness.ts';

/** Generates requests from a server’s OpenAPI document and checks every response against the document. */

const seed = Number(process.env['GENERATED_SEED'] ?? 20_261_120);
/** Number of requests of each kind for each operation, at most 90. */
const count = Number(process.env['GENERATED_COUNT'] ?? (isThorough ? 24 : 2));

const server = useServer({
  IMPORT_ALLOWED_NETWORKS: '127.0.0.1/32',
  PURGE_CONFIRM_TOKEN: confirmToken,
  MAX_UPLOAD_BYTES: String(maxFileBytes),
  MIN_FREE_DISK_MB: '0',
});
const origin = useOrigin(async () => {
  const [picture = Buffer.alloc(0)] = await makePictures(1);
  return Object.fromEntries(picturePaths.map((path) => [path, picture]));
});

let operations: Operation[] = [];
let sources: Sources;
const countsByStatusClass = new Map<string, number>();

beforeAll(async () => {
  const servedDocument = (await call(`${server().url}/api/v1/openapi.json`)).body;
  expect(servedDocument).toEqual(document);
  operations = listOperations(servedDocument);
  const serverData = await fillServer(server().url, origin(), count);
  sources = makeSources(serverData, await makePictures(28), await truncatedJpeg('broken'));
});

afterAll(() => {
  const total = [...countsByStatusClass.values()].reduce((sum, times) => sum + times, 0);
  const statusClasses = [...countsByStatusClass]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([status, times]) => `${status} ${times}`);
  console.log(
    `generated: ${total} requests to ${operations.length} operations: ${statusClasses.join(', ')}; seed ${seed}`,
  );
});

/** Sends all requests and returns a description of each response that fails `check`. */
async function sendAll<Sent extends Request>(
  requests: readonly Sent[],
  check: (request: Sent, response: ApiResponse<unknown>) => void,
): Promise<string[]> {
  const failures: string[] = [];
  await forEachConcurrently(requests, async (request) => {
    try {
      const response = await sendRequest(server().url, request);
      const statusClass = `${Math.floor(response.status / 100)}xx`;
      countsByStatusClass.set(statusClass, (countsByStatusClass.get(statusClass) ?? 0) + 1);
      check(request, response);
    } catch (error) {
      failures.push(`${describeRequest(request)}\n  ${String(error).slice(0, 900)}`);
    }
  });
  return failures;
}

function expectNoFailures(failures: readonly string[]): void {
  expect(failures.slice(0, 20), `${failures.length} failures; GENERATED_SEED=${seed}`).toEqual([]);
}

/** Returns a sort rank that puts deletions and purges last, because they remove data that other operations need. */
function rankOperation({ method, path }: Operation): number {
  return path.includes('purge') ? 2 : Number(method === 'DELETE');
}

test('responds to valid and invalid requests as documented', async () => {
  const orderedOperations = operations.toSorted((a, b) => rankOperation(a) - rankOperation(b));
  const failures: string[] = [];
  let requestCount = 0;
  for (const [index, operation] of orderedOperations.entries()) {
    const cases: Case[] = [
      // Only the server can sign paths.
      ...(operation.path.startsWith('/i/s/')
        ? []
        : generateValidCases(operation, sources, count, seed + index)),
      ...generateInvalidCases(operation, sources, count, seed + index),
    ];
    requestCount += cases.length;
    failures.push(...(await sendAll(cases, checkResponse)));
  }
  expectNoFailures(failures);
  expect(requestCount).toBeGreaterThan(80 * count);
});

test('rejects unsupported methods and lists the allowed methods', async () => {
  const requests = makeWrongMethodRequests(operations);
  expect(requests.length).toBeGreaterThan(200);
  const failures = await sendAll(requests, ({ method, allowedMethods }, response) => {
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe(allowedMethods.join(', '));
    if (method !== 'HEAD') expectProblem(response);
  });
  expectNoFailures(failures);
});

test('rejects unknown paths', async () => {
  const failures = await sendAll(
    generateUnknownPathRequests(operations, 200, seed),
    ({ method }, response) => {
      expect([404, 400]).toContain(response.status);
      if (method !== 'HEAD') expectProblem(response);
    },
  );
  expectNoFailures(failures);
});

test('responds to HEAD and GET with the same status and headers', async () => {
  const getRequests = operations.flatMap((operation) => [
    ...generateValidCases(operation, sources, 3, seed),
    ...generateInvalidCases(operation, sources, 1, seed),
  ]);
  const pairs = pairGetWithHead(getRequests);
  const responses = new Map<Request, ApiResponse<unknown>>();
  const record = (request: Request, response: ApiResponse<unknown>) => void responses.set(request, response);
  expectNoFailures(await sendAll(pairs.flat(), record));
  for (const [get, head] of pairs) {
    // A server verifies only one audit log at a time, so one of the two may have to be repeated later.
    if (get.target.startsWith('/v1/audit/verification')) continue;
    const [getResponse, headResponse] = [responses.get(get), responses.get(head)];
    expect(headResponse?.bytes, describeRequest(head)).toHaveLength(0);
    expect([headResponse?.status, selectStableHeaders(headResponse)], describeRequest(head)).toEqual([
      getResponse?.status,
      selectStableHeaders(getResponse),
    ]);
  }
});

/** Returns the headers that are the same for GET and HEAD. */
function selectStableHeaders(response: ApiResponse<unknown> | undefined): Record<string, string> {
  const variableHeaders = new Set([
    'date',
    'content-length',
    'connection',
    'keep-alive',
    'transfer-encoding',
  ]);
  return Object.fromEntries([...(response?.headers ?? [])].filter(([name]) => !variableHeaders.has(name)));
}

test('responds to preflights at every path, but allows only configured origins', async () => {
  for (const [siteOrigin, allowedOrigin] of [
    ['http://localhost:3000', 'http://localhost:3000'],
    ['https://other.example', null],
  ] as const) {
    const failures = await sendAll(makePreflights(operations, siteOrigin), ({ headers }, response) => {
      expect(response.status).toBe(204);
      expect(response.headers.get('access-control-allow-origin')).toBe(allowedOrigin);
      const methods = response.headers.get('access-control-allow-methods');
      expect(methods).toContain(headers['access-control-request-method']);
    });
    expectNoFailures(failures);
  }
});

test('negotiates JSON or Prometheus text at /metrics', async () => {
  const types = [
    'text/plain',
    'application/openmetrics-text',
    'application/json',
    'text/html',
    '*/*',
    'image/png',
    'x',
  ];
  const requests = types.flatMap((accept) =>
    ['', ';q=0.5', ';version=0.0.4', ', */*;q=0.1'].map((suffix) => ({
      method: 'GET',
      target: '/metrics',
      headers: { accept: `${accept}${suffix}` },
    })),
  );
  const failures = await sendAll(requests, ({ headers }, response) => {
    expect(response.status).toBe(200);
    const acceptsText = /^(text\/plain|application\/openmetrics-text)/.test(headers.accept);
    expect(response.headers.get('content-type')).toMatch(acceptsText ? /^text\/plain/ : /^application\/json/);
    expect(response.headers.get('vary')).toContain('Accept');
  });
  expectNoFailures(failures);
});

test('logs no server errors', () => {
  expect(server().log()).not.toContain('"level":"error"');
});
