import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ApiResponse, call } from '../../support/process/client.ts';
import { brokenJpeg } from '../../support/process/pictures.ts';
import { useServer } from '../../support/process/server.ts';
import { document } from '../support/documented.ts';
import { useOrigin } from '../support/origin.ts';
import { exchange, inLanes, type Request, showRequest } from './exchange.ts';
import { maxFileBytes } from './forms.ts';
import { judge, judgeProblem } from './judge.ts';
import { type Operation, operationsOf } from './operations.ts';
import { heads, preflights, undocumentedMethods, unknownAddresses } from './other-requests.ts';
import { type Case, invalidCases, type Sources, validCases } from './requests.ts';
import { makeSources } from './sources.ts';
import { confirmToken, makePictures, makeWorld, picturePaths } from './world.ts';
import { isThorough } from '../../support/thoroughness.ts';

/** Generates requests from the OpenAPI document of a server and checks every response against it. */

const seed = Number(process.env['GENERATED_SEED'] ?? 20_261_120);
/** Requests per kind and call; at most 90. */
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
const tally = new Map<string, number>();

beforeAll(async () => {
  const served = (await call(`${server().url}/api/v1/openapi.json`)).body;
  expect(served).toEqual(document);
  operations = operationsOf(served);
  const world = await makeWorld(server().url, origin(), count);
  sources = makeSources(world, await makePictures(28), await brokenJpeg('broken'));
});

afterAll(() => {
  const total = [...tally.values()].reduce((sum, one) => sum + one, 0);
  const classes = [...tally]
    .toSorted(([one], [other]) => one.localeCompare(other))
    .map(([status, times]) => `${status} ${times}`);
  console.log(
    `generated: ${total} requests to ${operations.length} calls: ${classes.join(', ')}; seed ${seed}`,
  );
});

/** Sends all requests. Returns the complaints of `check`. */
async function sendAll<Sent extends Request>(
  requests: readonly Sent[],
  check: (request: Sent, response: ApiResponse<unknown>) => void,
): Promise<string[]> {
  const failures: string[] = [];
  await inLanes(requests, async (request) => {
    try {
      const response = await exchange(server().url, request);
      const group = `${Math.floor(response.status / 100)}xx`;
      tally.set(group, (tally.get(group) ?? 0) + 1);
      check(request, response);
    } catch (error) {
      failures.push(`${showRequest(request)}\n  ${String(error).slice(0, 900)}`);
    }
  });
  return failures;
}

function expectNone(failures: readonly string[]): void {
  expect(failures.slice(0, 20), `${failures.length} failures; GENERATED_SEED=${seed}`).toEqual([]);
}

/** Sorts calls that remove what others need to the end. */
function order({ method, path }: Operation): number {
  return path.includes('purge') ? 2 : Number(method === 'DELETE');
}

test('responds to every documented call as documented, whatever is sent', async () => {
  const ordered = operations.toSorted((one, other) => order(one) - order(other));
  const failures: string[] = [];
  let sent = 0;
  for (const [index, operation] of ordered.entries()) {
    const cases: Case[] = [
      ...validCases(operation, sources, count, seed + index),
      ...invalidCases(operation, sources, count, seed + index),
    ];
    sent += cases.length;
    failures.push(...(await sendAll(cases, judge)));
  }
  expectNone(failures);
  expect(sent).toBeGreaterThan(80 * count);
});

test('refuses an unsupported method and lists the allowed ones', async () => {
  const requests = undocumentedMethods(operations);
  expect(requests.length).toBeGreaterThan(200);
  const failures = await sendAll(requests, ({ method, allow }, response) => {
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe(allow.join(', '));
    if (method !== 'HEAD') judgeProblem(response);
  });
  expectNone(failures);
});

test('refuses an unknown address', async () => {
  const failures = await sendAll(unknownAddresses(operations, 200, seed), ({ method }, response) => {
    expect([404, 400]).toContain(response.status);
    if (method !== 'HEAD') judgeProblem(response);
  });
  expectNone(failures);
});

test('responds to HEAD like to GET, without a body', async () => {
  const gets = operations.flatMap((operation) => [
    ...validCases(operation, sources, 3, seed),
    ...invalidCases(operation, sources, 1, seed),
  ]);
  const pairs = heads(gets);
  const responses = new Map<Request, ApiResponse<unknown>>();
  const keep = (request: Request, response: ApiResponse<unknown>) => void responses.set(request, response);
  expectNone(await sendAll(pairs.flat(), keep));
  for (const [get, head] of pairs) {
    const [whole, bare] = [responses.get(get), responses.get(head)];
    expect(bare?.bytes, showRequest(head)).toHaveLength(0);
    expect([bare?.status, steady(bare)], showRequest(head)).toEqual([whole?.status, steady(whole)]);
  }
});

/** Headers that do not change between two requests. */
function steady(response: ApiResponse<unknown> | undefined): Record<string, string> {
  const passing = new Set(['date', 'content-length', 'connection', 'keep-alive', 'transfer-encoding']);
  return Object.fromEntries([...(response?.headers ?? [])].filter(([name]) => !passing.has(name)));
}

test('responds to preflights everywhere and allows configured origins only', async () => {
  for (const [site, allowed] of [
    ['http://localhost:3000', 'http://localhost:3000'],
    ['https://stranger.example', null],
  ] as const) {
    const failures = await sendAll(preflights(operations, site), ({ headers }, response) => {
      expect(response.status).toBe(204);
      expect(response.headers.get('access-control-allow-origin')).toBe(allowed);
      const methods = response.headers.get('access-control-allow-methods');
      expect(methods).toContain(headers['access-control-request-method']);
    });
    expectNone(failures);
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
    ['', ';q=0.5', ';version=0.0.4', ', */*;q=0.1'].map((more) => ({
      method: 'GET',
      target: '/metrics',
      headers: { accept: `${accept}${more}` },
    })),
  );
  const failures = await sendAll(requests, ({ headers }, response) => {
    expect(response.status).toBe(200);
    const text = /^(text\/plain|application\/openmetrics-text)/.test(headers.accept);
    expect(response.headers.get('content-type')).toMatch(text ? /^text\/plain/ : /^application\/json/);
    expect(response.headers.get('vary')).toContain('Accept');
  });
  expectNone(failures);
});

test('logs no server error', () => {
  expect(server().log()).not.toContain('"level":"error"');
});
