import { crc32 } from 'node:zlib';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { stagedFiles } from '../support/process/data-folder.ts';
import { call, expectProblem, form } from '../support/process/client.ts';
import { truncatedJpeg, drawing, jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';
import { boundary, formEnd, partHead } from '../support/process/socket.ts';
import { waitTimeoutMs } from '../support/time-scale.ts';

const server = useServer();

afterAll(async () => {
  // The storage health check occasionally stages a file, so the test waits until staging is empty.
  const listStagedFiles = () => stagedFiles(join(server().dataDir, 'storage', '.staging'));
  await vi.waitFor(async () => expect(await listStagedFiles()).toEqual([]), waitTimeoutMs);
});

const post = (body: FormData | string, type?: string, path = '/v1/images') =>
  call(server().url + path, {
    method: 'POST',
    body,
    headers: type === undefined ? {} : { 'content-type': type },
  });
const postFile = (bytes: string | Uint8Array) => post(form(['file', Buffer.from(bytes)]));

test.each([
  ['plain text', 'Only some words.', 'not_a_picture', /plain text/],
  ['an HTML page', '<!doctype html><html><body>Hello</body></html>', 'not_a_picture', /HTML/],
  ['a PDF', '%PDF-1.7\n%âãÏÓ\n1 0 obj\n<<>>\nendobj\n', 'not_a_picture', /PDF/],
  ['an SVG drawing', '<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>', 'format_not_allowed', /SVG/],
  [
    'random bytes',
    Uint8Array.from({ length: 999 }, (_, i) => (i * i) % 251),
    'not_a_picture',
    /accepts JPEG, PNG/,
  ],
])('rejects %s, and reports its type or the accepted formats', async (_name, bytes, code, message) => {
  expect(expectProblem(await postFile(bytes), 400, code)).toMatch(message);
});

test('rejects an empty file', async () => {
  expect(expectProblem(await postFile(''), 400, 'empty_file')).toMatch(/0 bytes/);
});

test('rejects a truncated picture', async () => {
  expectProblem(await postFile(await truncatedJpeg('cut')), 400, 'picture_cut');
});

test('rejects a picture above the pixel limit before decoding it', async () => {
  const png = await drawing('huge').png().toBuffer();
  png.writeUInt32BE(10_000, 16);
  png.writeUInt32BE(7_001, 20);
  png.writeUInt32BE(crc32(png.subarray(12, 29)), 29);
  expect(expectProblem(await postFile(png), 400, 'picture_too_large')).toBe(
    'The image has 10000 × 7001 pixels, 70010000 in total; the limit is 70000000.',
  );
});

test('rejects a form without a file in the expected field', async () => {
  expectProblem(await post(form(['tenant', 'shop'])), 400, 'missing_file');
  expect(expectProblem(await post(form(['image', await jpeg('x')])), 400, 'missing_file')).toMatch(/"image"/);
  expectProblem(await post(form(['file', 'text instead of a file'])), 400, 'missing_file');
  expectProblem(await post(new FormData()), 400, 'missing_file');
});

test('rejects a second file and a misspelled filter instead of ignoring them', async () => {
  const picture = await jpeg('twice');
  const twoFiles = await post(form(['file', picture, 'a.jpg'], ['file', picture, 'b.jpg']));
  expect(expectProblem(twoFiles, 400, 'invalid_request')).toMatch(/more than one file/);
  const misspelledFilter = await call(`${server().url}/v1/images?tenannt=shop`);
  expect(expectProblem(misspelledFilter, 400, 'invalid_request')).toMatch(/tenannt/);
});

test('rejects a form without a closing boundary', async () => {
  const type = `multipart/form-data; boundary=${boundary}`;
  const unclosedForm = `${partHead}some bytes`;
  const forms = [
    '',
    'no boundary',
    `--${boundary}`,
    partHead.slice(0, 60),
    unclosedForm,
    `${unclosedForm}\r\n--${boundary}`,
  ];
  for (const body of forms) {
    const response = await post(body, type);
    expect(response.status, JSON.stringify(body)).toBe(400);
    expect(response.body['code'], JSON.stringify(body)).toMatch(/body_cut_short|missing_file/);
  }
  expect((await post(`${unclosedForm}${formEnd}`, type)).body['code']).toBe('not_a_picture');
});

test('rejects a form with too many fields or files, or with a field that is too long', async () => {
  const makeForm = (count: number, value: string | Uint8Array) =>
    form(...Array.from({ length: count }, (_, i) => [`f${i}`, value] as [string, string | Uint8Array]));
  for (const body of [
    makeForm(21, 'x'),
    makeForm(500, 'x'),
    makeForm(5, new Uint8Array(9)),
    form(['tenant', 'x'.repeat(9_000)]),
  ])
    expectProblem(await post(body), 400, 'invalid_request');
});

test('rejects an invalid tenant name and explains the rule', async () => {
  for (const name of ['', 'a b', '../up', 'x'.repeat(65), 'ä']) {
    const response = await post(form(['tenant', name], ['file', await jpeg('tenant')]));
    expect(expectProblem(response, 400, 'invalid_tenant'), name).toMatch(/1 to 64 letters/);
  }
});

test('returns 415 for an unsupported content type and 400 for malformed JSON', async () => {
  for (const type of ['text/plain', 'image/jpeg', 'application/x-www-form-urlencoded', 'multipart/form-data'])
    expectProblem(await post('a=b', type), 415, 'unsupported_body');
  expectProblem(await post('{"url":', 'application/json'), 400, 'invalid_request');
  expectProblem(await post('', 'application/json'), 400, 'invalid_request');
  expectProblem(await post(`{"a":"${'x'.repeat(2 ** 20)}"}`, 'application/json'), 413, 'body_too_large');
});

test('sends problem+json for an unknown path, method or mode', async () => {
  const { url } = server();
  expect(expectProblem(await call(`${url}/v1/nothing?q=1`), 404, 'route_not_found')).toMatch(
    /GET \/v1\/nothing\./,
  );
  expectProblem(await call(`${url}/v1/images`, { method: 'PATCH' }), 405, 'method_not_allowed');
  expectProblem(
    await post(form(['file', await jpeg('m')]), undefined, '/v1/images?mode=soon'),
    400,
    'invalid_request',
  );
});

test('leaves no image behind after a rejected upload', async () => {
  expect((await call(`${server().url}/v1/images`)).body).toMatchObject({ total: 0, items: [] });
});
