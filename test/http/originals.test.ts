import { beforeAll, expect, test } from 'vitest';
import { call, expectProblem, form, type ImageRecord } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';

const server = useServer();
let bytes: Buffer;
let paths: string[];
let etag: string;

beforeAll(async () => {
  bytes = await jpeg('original', 900, 700);
  const { id, uuid } = await uploadNamed('photo.jpg', bytes);
  paths = [`/v1/images/${id}/original`, `/v1/images/${uuid}/original`, `/retrieve/original/${id}`];
  etag = (await get({}))[0]?.headers.get('etag') ?? '';
});

async function uploadNamed(filename: string, content: Buffer): Promise<ImageRecord> {
  const body = form(['file', content, filename]);
  return (await call<ImageRecord>(`${server().url}/v1/images`, { method: 'POST', body })).body;
}

const get = (headers: Record<string, string>, method = 'GET') =>
  Promise.all(paths.map((path) => call(server().url + path, { headers, method })));

test('an original comes back byte for byte and says that parts of it can be asked for', async () => {
  for (const answer of await get({})) {
    expect([answer.status, answer.headers.get('accept-ranges')]).toEqual([200, 'bytes']);
    expect(answer.bytes.equals(bytes)).toBe(true);
  }
});

test.each([
  ['first bytes', 'bytes=0-99', (size: number) => [0, 99, size]],
  ['one byte', 'bytes=7-7', () => [7, 7]],
  ['a part from the middle', 'bytes=1000-1999', () => [1000, 1999]],
  ['an open end', 'bytes=500-', (size: number) => [500, size - 1]],
  ['the last bytes', 'bytes=-300', (size: number) => [size - 300, size - 1]],
  ['more of the last bytes than there are', 'bytes=-99999999', (size: number) => [0, size - 1]],
  ['an end beyond the file', 'bytes=100-99999999', (size: number) => [100, size - 1]],
])('a range can be %s', async (_what, range, limits) => {
  const [first = 0, last = 0] = limits(bytes.length);
  for (const answer of await get({ range })) {
    expect(answer.status).toBe(206);
    expect(answer.headers.get('content-range')).toBe(`bytes ${first}-${last}/${bytes.length}`);
    expect(answer.headers.get('content-length')).toBe(String(last - first + 1));
    expect(answer.bytes.equals(bytes.subarray(first, last + 1))).toBe(true);
  }
});

test('a range outside the file is refused, and the size is told', async () => {
  for (const range of [`bytes=${bytes.length}-`, 'bytes=99999999-99999999', 'bytes=-0']) {
    for (const answer of await get({ range })) {
      expect(expectProblem(answer, 416, 'range_not_satisfiable')).toContain(String(bytes.length));
      expect(answer.headers.get('content-range'), range).toBe(`bytes */${bytes.length}`);
    }
  }
});

test('several ranges, or a form that is none, give the whole file', async () => {
  for (const range of ['bytes=0-1,50-60', 'lines=1-2', 'bytes=a-b', 'bytes', 'bytes=', 'bytes=5-2x']) {
    for (const answer of await get({ range }))
      expect([answer.status, answer.bytes.length], range).toEqual([200, bytes.length]);
  }
});

test('a range counts only while the tag of If-Range is that of the file', async () => {
  const range = 'bytes=0-9';
  const statuses = async (header: string) =>
    (await get({ range, 'if-range': header })).map(({ status }) => status);
  expect(await statuses(etag)).toEqual([206, 206, 206]);
  for (const header of ['"other"', `W/${etag}`, 'Wed, 21 Oct 2026 07:28:00 GMT', 'nonsense'])
    expect(await statuses(header), header).toEqual([200, 200, 200]);
});

test('HEAD of an original tells its size and sends nothing', async () => {
  for (const answer of await get({}, 'HEAD')) {
    expect([answer.status, answer.bytes.length]).toEqual([200, 0]);
    expect(answer.headers.get('content-length')).toBe(String(bytes.length));
  }
});

test.each([
  ['plain.jpg', 'inline; filename=plain.jpg', 'plain.jpg'],
  ['two words.jpg', 'inline; filename="two words.jpg"', 'two words.jpg'],
  ['größe €.jpg', "filename*=UTF-8''gr%C3%B6%C3%9Fe%20%E2%82%AC.jpg", 'größe €.jpg'],
  ['写真.jpg', "filename*=UTF-8''%E5%86%99%E7%9C%9F.jpg", '写真.jpg'],
  ['a;b=c.jpg', 'filename="a;b=c.jpg"', 'a;b=c.jpg'],
  ['../../etc/passwd', 'filename=passwd', 'passwd'],
])(
  'a file that was named %s is offered under a name that every client can read',
  async (name, expected, kept) => {
    const image = await uploadNamed(name, await jpeg(`named ${name}`));
    expect(image.original_filename).toBe(kept);
    const answer = await call(`${server().url}/v1/images/${image.id}/original`);
    expect(answer.headers.get('content-disposition')).toContain(expected);
    // A header is bytes: nothing in it may be beyond Latin-1, or break the line.
    expect(answer.headers.get('content-disposition')).toMatch(/^[\x20-\x7e\xa0-\xff]+$/);
  },
);
