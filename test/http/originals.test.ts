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
  etag = (await fetchAllPaths({}))[0]?.headers.get('etag') ?? '';
});

async function uploadNamed(filename: string, content: Buffer): Promise<ImageRecord> {
  const body = form(['file', content, filename]);
  return (await call<ImageRecord>(`${server().url}/v1/images`, { method: 'POST', body })).body;
}

const fetchAllPaths = (headers: Record<string, string>, method = 'GET') =>
  Promise.all(paths.map((path) => call(server().url + path, { headers, method })));

test('sends an original byte for byte, with an Accept-Ranges header', async () => {
  for (const response of await fetchAllPaths({})) {
    expect([response.status, response.headers.get('accept-ranges')]).toEqual([200, 'bytes']);
    expect(response.bytes.equals(bytes)).toBe(true);
  }
});

test.each([
  ['the first bytes', 'bytes=0-99', (size: number) => [0, 99, size]],
  ['one byte', 'bytes=7-7', () => [7, 7]],
  ['bytes in the middle', 'bytes=1000-1999', () => [1000, 1999]],
  ['all bytes after an offset', 'bytes=500-', (size: number) => [500, size - 1]],
  ['the last bytes', 'bytes=-300', (size: number) => [size - 300, size - 1]],
  ['more last bytes than the file has', 'bytes=-99999999', (size: number) => [0, size - 1]],
  ['bytes beyond the end of the file', 'bytes=100-99999999', (size: number) => [100, size - 1]],
])('responds with 206 to a range request for %s', async (_case, range, findLimits) => {
  const [first = 0, last = 0] = findLimits(bytes.length);
  for (const response of await fetchAllPaths({ range })) {
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(`bytes ${first}-${last}/${bytes.length}`);
    expect(response.headers.get('content-length')).toBe(String(last - first + 1));
    expect(response.bytes.equals(bytes.subarray(first, last + 1))).toBe(true);
  }
});

test('rejects a range outside the file and reports the file size', async () => {
  for (const range of [`bytes=${bytes.length}-`, 'bytes=99999999-99999999', 'bytes=-0']) {
    for (const response of await fetchAllPaths({ range })) {
      expect(expectProblem(response, 416, 'range_not_satisfiable')).toContain(String(bytes.length));
      expect(response.headers.get('content-range'), range).toBe(`bytes */${bytes.length}`);
    }
  }
});

test('sends the whole file for multiple or malformed ranges', async () => {
  for (const range of ['bytes=0-1,50-60', 'lines=1-2', 'bytes=a-b', 'bytes', 'bytes=', 'bytes=5-2x']) {
    for (const response of await fetchAllPaths({ range }))
      expect([response.status, response.bytes.length], range).toEqual([200, bytes.length]);
  }
});

test('ignores a range if If-Range does not match the ETag', async () => {
  const range = 'bytes=0-9';
  const fetchStatuses = async (header: string) =>
    (await fetchAllPaths({ range, 'if-range': header })).map(({ status }) => status);
  expect(await fetchStatuses(etag)).toEqual([206, 206, 206]);
  for (const header of ['"other"', `W/${etag}`, 'Wed, 21 Oct 2026 07:28:00 GMT', 'invalid'])
    expect(await fetchStatuses(header), header).toEqual([200, 200, 200]);
});

test('responds to HEAD for an original with its size and no body', async () => {
  for (const response of await fetchAllPaths({}, 'HEAD')) {
    expect([response.status, response.bytes.length]).toEqual([200, 0]);
    expect(response.headers.get('content-length')).toBe(String(bytes.length));
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
  'offers a file named %s for download under a name that every client can read',
  async (name, disposition, storedName) => {
    const image = await uploadNamed(name, await jpeg(`named ${name}`));
    expect(image.original_filename).toBe(storedName);
    const response = await call(`${server().url}/v1/images/${image.id}/original`);
    expect(response.headers.get('content-disposition')).toContain(disposition);
    // Headers may contain only Latin-1 characters without line breaks.
    expect(response.headers.get('content-disposition')).toMatch(/^[\x20-\x7e\xa0-\xff]+$/);
  },
);
