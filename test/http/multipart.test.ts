import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { asAppError } from '../../src/errors.ts';
import { makeReceiveUploadForm } from '../../src/http/bodies/upload-form.ts';
import { makeStaging, type Staging } from '../../src/storage/staging.ts';
import { makeFileFolder } from '../support/inner/folders.ts';
import { boundary, chunk, connectRaw, formEnd, formHead, partHead } from '../support/process/socket.ts';

const maxBytes = 2 ** 20;
const picture = Buffer.alloc(300_000, 'picture \r\n--vitrine-test');
const folder = await makeFileFolder();
const server = createServer();
let staging: Staging;
let url: string;

beforeAll(async () => {
  staging = makeStaging(folder);
  const receive = makeReceiveUploadForm({
    staging,
    assertFreeSpace: () => Promise.resolve(),
    maxBytes,
    idleMs: 5_000,
  });
  server.on('request', (request, response) => {
    const result = receive(request, ['tenant']).then(
      async ({ file, filename, fields }) => {
        const isIntact = (await readFile(file.path)).equals(picture);
        await staging.discard(file.path);
        return { filename, tenant: fields.get('tenant'), bytes: file.bytes, isIntact };
      },
      (error: unknown) => {
        const { code, message } = asAppError(error);
        return { code, message };
      },
    );
    void result.then((outcome) => response.end(JSON.stringify(outcome)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(async () => expect(await readdir(staging.directory)).toEqual([]));

interface Outcome {
  readonly filename?: string;
  readonly tenant?: string;
  readonly bytes?: number;
  readonly isIntact?: boolean;
  readonly code?: string;
  readonly message?: string;
}
type Part = [head: string | Buffer, body: string | Buffer];

/** Sends a form that contains the given parts unchanged. `before` and `after` are placed outside the boundaries. */
async function send(parts: readonly Part[], [before, after] = ['', '']): Promise<Outcome> {
  const body = parts.flatMap(([head, bytes]) => [
    Buffer.from(`--${boundary}\r\n`),
    Buffer.from(head),
    Buffer.from('\r\n\r\n'),
    Buffer.from(bytes),
    Buffer.from('\r\n'),
  ]);
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: Buffer.concat([Buffer.from(before ?? ''), ...body, Buffer.from(`--${boundary}--${after}`)]),
  });
  return (await response.json()) as Outcome;
}

const disposition = 'Content-Disposition: form-data; ';
const makeFilePart = (parameters: string): Part => [`${disposition}name="file"${parameters}`, picture];
const encodeLatin1 = (text: string) => Buffer.from(text, 'latin1');

test.each([
  ['', ''],
  ['\r\nContent-Type: image/jpeg', ''],
  ['\r\nContent-Type: application/octet-stream', ''],
  ['\r\nContent-Type: text/plain', ''],
  ['; filename=""', ''],
  ['; filename="foto.jpg"', 'foto.jpg'],
  ['; filename=foto.jpg', 'foto.jpg'],
  [`; filename="foto.jpg"; filename*=UTF-8''%D1%84%D0%BE%D1%82%D0%BE.jpg`, 'фото.jpg'],
  [`; filename*=UTF-8''%D1%84%D0%BE%D1%82%D0%BE.jpg; filename="foto.jpg"`, 'фото.jpg'],
  [`; filename*=utf-8'de'K%C3%BCche.jpg`, 'Küche.jpg'],
  [`; filename*=ISO-8859-1''K%FCche.jpg`, 'Küche.jpg'],
  [`; filename*="UTF-8''K%C3%BCche.jpg"`, 'Küche.jpg'],
  // The plain name is used if the extended name cannot be decoded.
  [`; filename="foto.jpg"; filename*=UTF-8''K%FCche.jpg`, 'foto.jpg'],
  [`; filename="foto.jpg"; filename*=cp850''K%81che.jpg`, 'foto.jpg'],
  [`; filename="foto.jpg"; filename*=K%C3%BCche.jpg`, 'foto.jpg'],
  ['; filename="фото 😀.jpg"', 'фото 😀.jpg'],
  [String.raw`; filename="C:\Fotos\Küche.jpg"`, 'Küche.jpg'],
  ['; filename="../../etc/passwd"', 'passwd'],
  ['; filename=".."', ''],
  ['; filename="24%22 TV; rot.jpg"', '24" TV; rot.jpg'],
  [String.raw`; filename="24\" TV.jpg"`, '24" TV.jpg'],
])('accepts the file part name="file"%s', async (parameters, filename) => {
  expect(await send([makeFilePart(parameters)])).toEqual({ filename, bytes: picture.length, isIntact: true });
});

test.each<[string, Part[], string, RegExp]>([
  [
    'a file name that is not UTF-8',
    [[encodeLatin1(`${disposition}name="file"; filename="Küche.jpg"`), picture]],
    'invalid_request',
    /^The file name is not valid UTF-8 \(byte 2 is 0xFC\)\. .*_charset_/,
  ],
  [
    'only an invalid extended file name',
    [makeFilePart(`; filename*=UTF-8''K%FCche.jpg`)],
    'invalid_request',
    /not valid UTF-8/,
  ],
  [
    'two file names',
    [makeFilePart('; filename="a.jpg"; filename="b.jpg"')],
    'invalid_request',
    /two different values for filename\./,
  ],
  [
    'base64 content',
    [makeFilePart('\r\nContent-Transfer-Encoding: base64')],
    'invalid_request',
    /transfer encoding base64; send its bytes/,
  ],
  [
    'a field that is not UTF-8',
    [makeFilePart(''), [`${disposition}name="tenant"`, encodeLatin1('Küche')]],
    'invalid_request',
    /^The form field "tenant" is not valid UTF-8 \(byte 2 is 0xFC\)/,
  ],
  [
    'a field in an unknown charset',
    [makeFilePart(''), [`${disposition}name="tenant"\r\nContent-Type: text/plain; charset=cp850`, 'x']],
    'invalid_request',
    /"cp850", which is not supported/,
  ],
  [
    'two values for a field',
    [makeFilePart(''), [`${disposition}name="tenant"`, 'a'], [`${disposition}name="tenant"`, 'b']],
    'invalid_request',
    /"tenant" more than once/,
  ],
  [
    'a file in a different field',
    [[`${disposition}name="image"\r\nContent-Type: image/png`, picture]],
    'missing_file',
    /the file is in the field "image"/,
  ],
  [
    'binary data in a different field',
    [[`${disposition}name="image"`, picture]],
    'invalid_request',
    /"image" is longer than 8192 bytes; send the image in the field "file"/,
  ],
  [
    'text instead of a file',
    [[`${disposition}name="file"`, 'photo.jpg']],
    'missing_file',
    /"file" contains text instead of a file\.$/,
  ],
  ['an empty file', [[`${disposition}name="file"; filename=""`, '']], 'empty_file', /0 bytes/],
  ['an empty file without a name', [[`${disposition}name="file"`, '']], 'empty_file', /0 bytes/],
  [
    'too many fields',
    Array.from({ length: 21 }, (_, i): Part => [`${disposition}name="field ${i}"`, 'x']),
    'invalid_request',
    /more than 20 fields/,
  ],
  [
    'two files',
    [makeFilePart(''), makeFilePart('; filename="a.jpg"')],
    'invalid_request',
    /more than one file/,
  ],
  ['a part without a name', [['X-Nothing: 1', picture]], 'missing_file', /no file in the field "file"\.$/],
])('rejects a form with %s', async (_case, parts, code, message) => {
  const outcome = await send(parts);
  expect(outcome.code).toBe(code);
  expect(outcome.message).toMatch(message);
});

test('applies a form’s charset to its fields and file name if the charset field comes after the file', async () => {
  const charset: Part = [`${disposition}name="_charset_"`, 'windows-1252'];
  const namedFile: Part = [encodeLatin1(`${disposition}name="file"; filename="Küche.jpg"`), picture];
  expect(
    await send([namedFile, [`${disposition}name="tenant"`, encodeLatin1('Küche')], charset]),
  ).toMatchObject({
    filename: 'Küche.jpg',
    tenant: 'Küche',
  });
  const fieldWithCharset: Part = [
    `${disposition}name="tenant"\r\nContent-Type: text/plain; charset=ISO-8859-1`,
    encodeLatin1('Küche'),
  ];
  expect(await send([fieldWithCharset, makeFilePart('')])).toMatchObject({ tenant: 'Küche' });
});

test('ignores invalid and repeated fields that the operation does not use', async () => {
  const makeNote = (text: string): Part => [`${disposition}name="note"`, encodeLatin1(text)];
  const tenant: Part = [`${disposition}name="tenant"`, 'shop'];
  expect(await send([makeNote('Küche'), makeNote('x'), makeFilePart(''), tenant, tenant])).toMatchObject({
    tenant: 'shop',
    isIntact: true,
  });
});

test('skips bytes outside the boundaries, but counts them towards the limit', async () => {
  expect(await send([makeFilePart('')], ['preamble\r\n', '\r\nepilogue'])).toMatchObject({ isIntact: true });
  const longText = 'x'.repeat(2 ** 20 + 2 ** 18);
  for (const padding of [
    [`${longText}\r\n`, ''],
    ['', longText],
  ])
    expect(await send([makeFilePart('')], padding as [string, string])).toMatchObject({
      code: 'body_too_large',
    });
});

test.each([
  ['after the closing boundary', [partHead, 'x', formEnd]],
  ['before the first boundary', []],
])('rejects endless data %s of a form without a Content-Length', async (_place, parts) => {
  const connection = await connectRaw(url);
  await connection.write(formHead('/'));
  for (const part of parts) await connection.write(chunk(part));
  for (let i = 0; i < 21; i += 1) await connection.write(chunk(Buffer.alloc(2 ** 16)));
  expect(await connection.until(/body_too_large/)).toMatch(/larger than 1310720 bytes, including/);
  connection.socket.destroy();
});
