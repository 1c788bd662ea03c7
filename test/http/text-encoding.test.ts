import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type ApiResponse, call, expectProblem } from '../support/process/client.ts';
import { useServer } from '../support/process/server.ts';
import { connectRaw } from '../support/process/socket.ts';
import { timeScale } from '../support/time-scale.ts';

// Without a worker, the URLs are never fetched.
const server = useServer({ ENABLE_WORKER: 'false' });

interface Line {
  readonly line: number;
  readonly url: string;
  readonly reference: string | null;
  readonly outcome: string;
  readonly code: string | null;
  readonly error: string | null;
}
type Body = Record<string, unknown> & { readonly lines: readonly Line[]; readonly url: string };

const post = (path: string, body: string | Buffer, type: string) =>
  call<Body>(`${server().url}${path}`, {
    method: 'POST',
    body: new Uint8Array(Buffer.from(body)),
    headers: { 'content-type': type },
  });
const postCsv = (body: string | Buffer, type = 'text/csv') => post('/v1/imports', body, type);
const postJson = (body: string | Buffer, type = 'application/json') => post('/v1/imports', body, type);
const encodeLatin1 = (text: string) => Buffer.from(text, 'latin1');
const expectRejection = async (response: Promise<ApiResponse>, status = 400, code = 'invalid_request') =>
  expectProblem(await response, status, code);

const csv = 'url;reference\nhttps://a.example/1.jpg;Küche\nhttps://a.example/2.jpg;Tisch\n';

test.each([
  ['UTF-8', Buffer.from(csv), 'text/csv'],
  ['UTF-8 with a byte order mark', Buffer.from(`\uFEFF${csv}`), 'text/csv; charset=utf-8'],
  ['windows-1252', encodeLatin1(csv), 'text/csv; charset=windows-1252'],
  ['latin1', encodeLatin1(csv), 'text/csv; header=present; charset="ISO-8859-1"'],
  ['UTF-16 with a byte order mark', Buffer.from(`\uFEFF${csv}`, 'utf16le'), 'text/csv'],
  ['big-endian UTF-16', Buffer.from(`\uFEFF${csv}`, 'utf16le').swap16(), 'text/csv; charset=utf-16'],
  ['UTF-16 with a declared charset', Buffer.from(csv, 'utf16le'), 'text/csv; charset=utf-16le'],
  ['UTF-8 with a line that specifies the delimiter', Buffer.from(`sep=;\r\n${csv}`), 'text/csv'],
])('accepts CSV in %s', async (_case, bytes, type) => {
  const { status, body } = await postCsv(bytes, type);
  expect([status, body.lines.map(({ reference }) => reference)]).toEqual([202, ['Küche', 'Tisch']]);
});

test('rejects only the CSV lines that are not valid UTF-8, and suggests a fix', async () => {
  const { status, body } = await postCsv(encodeLatin1(csv));
  expect([status, body.lines.map(({ outcome }) => outcome === 'refused')]).toEqual([202, [true, false]]);
  expect(body.lines[0]?.error).toMatch(
    /is not valid UTF-8 \(byte \d+ is 0xFC\); save the CSV as UTF-8, or declare its charset in a header such as Content-Type: text\/csv; charset=windows-1252 \(line 2 of the file\)/,
  );
  expect(JSON.stringify(body)).not.toContain('\uFFFD');
  expect(JSON.stringify((await call(server().url + body.url)).body)).not.toContain('\uFFFD');
});

test('reports replacement characters as lost text, not as invalid UTF-8', async () => {
  const { body } = await postCsv('url,reference\nhttps://a.example/3.jpg,K\uFFFDche\n');
  expect(body.lines[0]).toMatchObject({ outcome: 'refused', error: expect.stringContaining('U+FFFD') });
  expect(body.lines[0]?.error).not.toContain('not valid UTF-8');
});

test('rejects an unknown charset and reports its name', async () => {
  for (const [type, body] of [
    ['text/csv', csv],
    ['application/json', '{}'],
  ] as const)
    expect(
      await expectRejection(post('/v1/imports', body, `${type}; charset=cp850`), 415, 'unsupported_body'),
    ).toMatch(/^The body has the charset "cp850", which is not supported; use UTF-8, windows-1252/);
});

test('suggests a different charset if the header line cannot be parsed', async () => {
  expect(await expectRejection(postCsv(Buffer.from(csv, 'utf16le')))).toContain(
    'may be in a different charset',
  );
});

test('rejects only the lines with a misplaced quotation mark', async () => {
  const { body } = await postCsv(
    'url,reference\nhttps://a.example/4.jpg,TV 55"\nhttps://a.example/5.jpg,"open\nhttps://a.example/6.jpg,Küche\n',
  );
  expect(body.lines.map(({ line, outcome }) => [line, outcome])).toEqual([
    [1, 'refused'],
    [2, 'refused'],
    [3, 'new'],
  ]);
  expect(body.lines[0]?.error).toMatch(/contains an unescaped quotation mark.*\(line 2 of the file\)\.$/);
  expect(body.lines[1]?.error).toMatch(/never closed \(line 3 of the file\)\.$/);
});

test.each([
  ['\uFEFFhttps://a.example/7.jpg', /U\+FEFF \(a byte order mark\) at character 1\b/],
  ['https://a.example/\u200B8.jpg', /U\+200B .* at character 19\b/],
  ['https://a.example/8.jpg\u00A0', /U\+00A0 .* at character 24\b/],
  ['https://a.example/K\uFFFDche.jpg', /control characters, or text was lost/],
])('reports the invisible character in the URL %j', async (url, message) => {
  const { body } = await postJson(JSON.stringify({ urls: [url] }));
  expect(body.lines[0]).toMatchObject({ outcome: 'refused', error: expect.stringMatching(message) });
});

test('reports a rejected line without its bidirectional control characters', async () => {
  const items = [{ url: 'https://a.example/\u202Egpj.exe', reference: 'a\u2066b' }];
  const { bytes, body } = await postJson(JSON.stringify({ items }));
  expect(body.lines[0]?.error).toContain('U+202E');
  expect(bytes.toString()).not.toMatch(/[\u202A-\u202E\u2066-\u2069]/);
});

test('reports a byte order mark at the start of a later CSV line', async () => {
  const { body } = await postCsv('\uFEFFurl\nhttps://a.example/9.jpg\n\uFEFFhttps://a.example/10.jpg\n');
  expect(body.lines.map(({ outcome }) => outcome)).toEqual(['new', 'refused']);
  expect(body.lines[1]?.error).toContain('byte order mark');
});

test('rejects JSON that is not UTF-8 unless its charset is declared', async () => {
  const json = '{"items":[{"url":"https://a.example/11.jpg","reference":"Küche"}]}';
  expect(await expectRejection(postJson(encodeLatin1(json)))).toMatch(
    /^The body is not valid UTF-8 \(byte \d+ is 0xFC\)\.$/,
  );
  for (const [bytes, type] of [
    [encodeLatin1(json), 'application/json; charset=windows-1252'],
    [Buffer.from(`\uFEFF${json}`), 'application/json'],
    [Buffer.from(`\uFEFF${json}`, 'utf16le'), 'application/json'],
  ] as const)
    expect((await postJson(bytes, type)).body.lines[0]?.reference).toBe('Küche');
});

test('requires percent-encoded UTF-8 in URLs', async () => {
  const { url } = server();
  expect(
    await expectRejection(call<Body>(`${url}/v1/images/1/references/K%FCche`, { method: 'PUT' })),
  ).toContain('UTF-8');
  expect((await call(`${url}/v1/images?tenant=K%FCche`)).status).toBe(400);
  const connection = await connectRaw(url);
  await connection.write(
    encodeLatin1('PUT /v1/images/1/references/Küche HTTP/1.1\r\nhost: localhost\r\n\r\n'),
  );
  expect(await connection.until(/"code"/)).toMatch(/^HTTP\/1\.1 400 .*percent-encode them as UTF-8/s);
  connection.socket.destroy();
});

/** Returns the longest duration of a small request while `work` runs, in milliseconds. */
async function measureSlowestResponse(work: Promise<unknown>): Promise<number> {
  const workEnd = work.then(() => true);
  let longestMs = 0;
  do {
    const startedAt = performance.now();
    await call(`${server().url}/api/v1/health/live`);
    longestMs = Math.max(longestMs, performance.now() - startedAt);
  } while (!(await Promise.race([workEnd, sleep(1, false)])));
  return longestMs;
}

test.each([
  [
    'brackets',
    '['.repeat(500_000),
    'application/json',
    /^The JSON nests arrays and objects more than 32 levels deep/,
  ],
  ['objects', '{"a":'.repeat(150_000), 'application/json', /more than 32/],
  [
    'brackets in a field',
    `{"items":[{"url":${'['.repeat(200_000)}${']'.repeat(200_000)}}]}`,
    'application/json',
    /more than 32/,
  ],
  ['commas', ','.repeat(1_000_000), 'text/csv', /1,000,000 characters; the limit is 16,384/],
  ['quotation marks', '"'.repeat(1_000_000), 'text/csv', /1,000,000 characters/],
])(
  'quickly rejects a body that consists of many %s, without blocking other clients',
  async (_case, body, type, message) => {
    const response = post('/v1/imports', body, type);
    const longestMs = await measureSlowestResponse(response);
    expect(await expectRejection(response)).toMatch(message);
    expect(longestMs).toBeLessThan(1_000 * timeScale);
  },
);

test('limits the JSON depth for every operation with a JSON body', async () => {
  for (const path of ['/v1/images', '/v1/uploads', '/v1/purge', '/v1/purge/deleted'])
    expect(
      await expectRejection(
        post(path, `{"a":${'['.repeat(1_000)}${']'.repeat(1_000)}}`, 'application/json'),
        400,
      ),
    ).toMatch(/more than 32/);
});

test('rejects a URL of a million characters without storing or echoing it', async () => {
  const url = `https://a.example/${'x'.repeat(1_000_000)}`;
  const singleImport = await post('/v1/images', JSON.stringify({ url }), 'application/json');
  expect(singleImport.status).toBe(400);
  expect(singleImport.bytes.length).toBeLessThan(1_000);
  const responses = [
    await postJson(JSON.stringify({ urls: [url] })),
    await postJson(JSON.stringify({ items: [{ url: 'https://a.example/12.jpg', tenant: url }] })),
    await postJson(JSON.stringify({ items: [{ url: 'https://a.example/12.jpg', reference: url }] })),
    await postJson(JSON.stringify({ items: [{ url: 'https://a.example/12.jpg', [url]: 1 }] })),
    await postCsv(`url\n${url}\nhttps://a.example/13.jpg\n`),
  ];
  for (const { status, bytes, body } of responses) {
    expect(status).toBe(202);
    expect(bytes.length).toBeLessThan(5_000);
    expect(body.lines[0]?.outcome).toBe('refused');
    expect((await call(server().url + body.url)).bytes.length).toBeLessThan(5_000);
  }
  expect(responses[0]?.body.lines[0]?.error).toMatch(/longer than 2048 characters \(it has 1000018\)/);
  expect(responses[4]?.body.lines[1]?.outcome).toBe('new');
});
