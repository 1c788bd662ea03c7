import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Answer, call } from '../../support/process/client.ts';
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

/** Requests are made from the document that a server gives, and every answer is held to it. */

const seed = Number(process.env['GENERATED_SEED'] ?? 20_261_120);
/** Requests of each kind for each call; at most 90. */
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

/** Sends all; answers what `check` was not content with. */
async function sendAll<Sent extends Request>(
  requests: readonly Sent[],
  check: (request: Sent, answer: Answer<unknown>) => void,
): Promise<string[]> {
  const failures: string[] = [];
  await inLanes(requests, async (request) => {
    try {
      const answer = await exchange(server().url, request);
      const group = `${Math.floor(answer.status / 100)}xx`;
      tally.set(group, (tally.get(group) ?? 0) + 1);
      check(request, answer);
    } catch (error) {
      failures.push(`${showRequest(request)}\n  ${String(error).slice(0, 900)}`);
    }
  });
  return failures;
}

function expectNone(failures: readonly string[]): void {
  expect(failures.slice(0, 20), `${failures.length} failures; GENERATED_SEED=${seed}`).toEqual([]);
}

/** Calls that take away what others need come last. */
function order({ method, path }: Operation): number {
  return path.includes('purge') ? 2 : Number(method === 'DELETE');
}

test('every documented call keeps its word, whatever it is sent', async () => {
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

test('a method that an address does not take is refused, with those that it takes', async () => {
  const requests = undocumentedMethods(operations);
  expect(requests.length).toBeGreaterThan(200);
  const failures = await sendAll(requests, ({ method, allow }, answer) => {
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe(allow.join(', '));
    if (method !== 'HEAD') judgeProblem(answer);
  });
  expectNone(failures);
});

test('an address that leads nowhere is refused', async () => {
  const failures = await sendAll(unknownAddresses(operations, 200, seed), ({ method }, answer) => {
    expect([404, 400]).toContain(answer.status);
    if (method !== 'HEAD') judgeProblem(answer);
  });
  expectNone(failures);
});

test('HEAD answers what GET does, without a body', async () => {
  const gets = operations.flatMap((operation) => [
    ...validCases(operation, sources, 3, seed),
    ...invalidCases(operation, sources, 1, seed),
  ]);
  const pairs = heads(gets);
  const answers = new Map<Request, Answer<unknown>>();
  const keep = (request: Request, answer: Answer<unknown>) => void answers.set(request, answer);
  expectNone(await sendAll(pairs.flat(), keep));
  for (const [get, head] of pairs) {
    const [whole, bare] = [answers.get(get), answers.get(head)];
    expect(bare?.bytes, showRequest(head)).toHaveLength(0);
    expect([bare?.status, steady(bare)], showRequest(head)).toEqual([whole?.status, steady(whole)]);
  }
});

/** Headers that say the same a moment later. */
function steady(answer: Answer<unknown> | undefined): Record<string, string> {
  const passing = new Set(['date', 'content-length', 'connection', 'keep-alive', 'transfer-encoding']);
  return Object.fromEntries([...(answer?.headers ?? [])].filter(([name]) => !passing.has(name)));
}

test('a preflight is answered everywhere; only configured origins are let in', async () => {
  for (const [site, allowed] of [
    ['http://localhost:3000', 'http://localhost:3000'],
    ['https://stranger.example', null],
  ] as const) {
    const failures = await sendAll(preflights(operations, site), ({ headers }, answer) => {
      expect(answer.status).toBe(204);
      expect(answer.headers.get('access-control-allow-origin')).toBe(allowed);
      const methods = answer.headers.get('access-control-allow-methods');
      expect(methods).toContain(headers['access-control-request-method']);
    });
    expectNone(failures);
  }
});

test('/metrics speaks JSON or the language of Prometheus, by what is asked for', async () => {
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
  const failures = await sendAll(requests, ({ headers }, answer) => {
    expect(answer.status).toBe(200);
    const text = /^(text\/plain|application\/openmetrics-text)/.test(headers.accept);
    expect(answer.headers.get('content-type')).toMatch(text ? /^text\/plain/ : /^application\/json/);
    expect(answer.headers.get('vary')).toContain('Accept');
  });
  expectNone(failures);
});

test('nothing of all this was an error of the server', () => {
  expect(server().log()).not.toContain('"level":"error"');
});
