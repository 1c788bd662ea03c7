import { expect, test } from 'vitest';
import { call, expectProblem } from '../support/process/client.ts';
import { useServer } from '../support/process/server.ts';

// Without a worker, the URLs are never fetched.
const server = useServer({ ENABLE_WORKER: 'false' });

interface Receipt {
  readonly accepted: number;
  readonly refused: number;
  readonly url: string;
  readonly lines: readonly {
    readonly line: number;
    readonly url: string;
    readonly tenant: string;
    readonly reference: string | null;
    readonly outcome: string;
    readonly code: string | null;
    readonly error: string | null;
  }[];
}

const post = <Body = Receipt>(body: string, type: string, query = '') =>
  call<Body>(`${server().url}/v1/imports${query}`, {
    method: 'POST',
    body,
    headers: { 'content-type': type },
  });
const postCsv = (body: string, query?: string) => post(body, 'text/csv', query);
const postJson = (body: unknown, query?: string) => post(JSON.stringify(body), 'application/json', query);
const expectRejection = async (body: string, type = 'text/csv', status = 400, code = 'invalid_request') =>
  expectProblem(await post<Record<string, unknown>>(body, type), status, code);

test('rejects only the CSV lines without a URL or with too many cells', async () => {
  const { status, body } = await postCsv(
    'url,tenant,reference\n,shop,a\nhttps://a.example/1.jpg\nhttps://a.example/2.jpg,shop,b,c\n,,\n\nhttps://a.example/3.jpg,shop,b\n',
  );
  expect([status, body.accepted, body.refused]).toEqual([202, 2, 3]);
  expect(body.lines.map(({ line, outcome, code }) => [line, outcome, code])).toEqual([
    [1, 'refused', 'invalid_url'],
    [2, 'new', null],
    [3, 'refused', 'invalid_request'],
    [4, 'refused', 'invalid_url'],
    [5, 'new', null],
  ]);
  expect(body.lines[0]?.error).toMatch(/^The URL is empty: /);
  expect(body.lines[2]?.error).toContain('the line has 4 cells but the header has 3');
});

test('rejects only the invalid JSON items', async () => {
  const url = 'https://a.example/4.jpg';
  const items = [
    { url },
    {},
    { url: 5 },
    { url: null },
    { url, tenant: 5 },
    { url, reference: true },
    { url, reference: '' },
    { url, colour: 'red' },
    { url, reference: 'a\u0000b' },
    { url: `${url}\u0000\ud800` },
    { url: 'x'.repeat(9_000) },
    'https://a.example/5.jpg',
    null,
  ];
  const { status, body } = await postJson({ items, tenant: 'shop' });
  expect([status, body.accepted, body.refused]).toEqual([202, 1, items.length - 1]);
  expect(body.lines.map(({ line }) => line)).toEqual(items.map((_, index) => index + 1));
  expect(body.lines[4]?.error).toContain('its tenant must be text, not 5');
  expect(body.lines[6]).toMatchObject({ code: 'invalid_request' });
  expect(body.lines[7]?.error).toContain('unknown field');
  const progress = await call<Receipt>(server().url + body.url);
  expect(progress.body.refused).toBe(items.length - 1);
  expect((await postJson({ urls: [7, 'https://a.example/6.jpg'] })).body).toMatchObject({
    accepted: 1,
    refused: 1,
  });
});

test('uses the tenant in the query for lines without a tenant', async () => {
  const listTenants = async (response: ReturnType<typeof postCsv>) =>
    (await response).body.lines.map(({ tenant }) => tenant);
  const csv = 'url\ttenant\nhttps://b.example/1.jpg\t\nhttps://b.example/2.jpg\tother\n';
  expect(await listTenants(postCsv(csv, '?tenant=shop'))).toEqual(['shop', 'other']);
  const urls = ['https://b.example/3.jpg'];
  expect(await listTenants(postJson({ urls }, '?tenant=shop'))).toEqual(['shop']);
  expect(await listTenants(postJson({ urls, tenant: 'top' }, '?tenant=shop'))).toEqual(['top']);
  expect((await postCsv(csv, '?tenant=a%20b')).status).toBe(400);
});

test('explains in one sentence why a whole CSV import is rejected', async () => {
  expect(await expectRejection('https://a.example/a.jpg\nhttps://a.example/b.jpg\n')).toBe(
    'The CSV must begin with a header line such as "url,tenant,reference"; its first line is "https://a.example/a.jpg".',
  );
  expect(await expectRejection('')).toContain('the CSV is empty');
  expect(await expectRejection('url,tenant\n')).toContain('no lines below its header');
  expect(await expectRejection('url,Tenant,tenant\na,b,c\n')).toBe(
    'The CSV has the column "tenant" more than once.',
  );
  expect(await expectRejection('url,colour\na,red\n')).toContain(
    'unknown column "colour"; allowed: url, tenant, reference.',
  );
  expect(await expectRejection(`url\n${'x\n'.repeat(1_001)}`)).toContain('more than 1,000 lines');
  expect(await expectRejection('x', 'text/plain', 415, 'unsupported_body')).toBe(
    'The body must be application/json or text/csv (received text/plain).',
  );
});

test('reports the limit and the size of a body that is too large', async () => {
  const body = JSON.stringify({ urls: ['x'.repeat(2 ** 20)] });
  expect(await expectRejection(body, 'application/json', 413, 'body_too_large')).toBe(
    `The body is ${body.length} bytes; the limit is 1048576 bytes (1 MiB).`,
  );
});

test('rejects a body for an operation that does not accept a body', async () => {
  const restore = (type: string, body: string) =>
    call(`${server().url}/v1/images/1/restore`, { method: 'POST', body, headers: { 'content-type': type } });
  for (const type of [
    'application/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
  ])
    expect(expectProblem(await restore(type, '{"a":1}'), 415, 'unsupported_body')).toMatch(
      /does not accept a body/,
    );
  expect((await restore('application/json', '{}')).status).toBeLessThan(405);
});
