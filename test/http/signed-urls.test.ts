import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { call, type ImageRecord, waitForFinishedImage } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';

const server = useServer({ IMPORT_ALLOWED_NETWORKS: '127.0.0.1/32', LOG_LEVEL: 'debug' });
const secret = 'c0ffee5ecre7';
const signature = `X-Amz-Date=20261127T000000Z&X-Amz-Signature=${secret}`;
const requestedUrls: string[] = [];
let origin: Server;

beforeAll(async () => {
  const picture = await jpeg('mug');
  origin = createServer(({ url = '' }, response) => {
    requestedUrls.push(url);
    if (url.startsWith('/mug.jpg')) response.end(picture);
    else response.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  await once(origin, 'listening');
});

afterAll(() => {
  origin.close();
  origin.closeAllConnections();
});

const originUrl = (path: string) => `http://127.0.0.1:${(origin.address() as AddressInfo).port}${path}`;

async function post<Body>(path: string, body: string, type = 'application/json') {
  return call<Body>(`${server().url}${path}`, { method: 'POST', body, headers: { 'content-type': type } });
}

test('fetches and compares URLs with their signatures, but never exposes the signatures', async () => {
  const outputs: string[] = [];
  const importOne = async (url: string) => {
    const { body, bytes } = await post<ImageRecord>('/v1/images', JSON.stringify({ url }));
    outputs.push(bytes.toString());
    return body.id;
  };
  const [existingUrl, missingUrl] = [
    originUrl(`/mug.jpg?${signature}`),
    originUrl(`/missing.jpg?${signature}&w=1`),
  ];
  const id = await importOne(existingUrl);
  const failedId = await importOne(missingUrl);
  expect((await waitForFinishedImage(server().url, id)).status).toBe('completed');
  expect(await waitForFinishedImage(server().url, failedId)).toMatchObject({
    status: 'failed',
    error: expect.stringContaining('404'),
  });
  expect(requestedUrls).toContain(`/mug.jpg?${signature}`);
  expect(await importOne(existingUrl)).toBe(id);
  expect(await importOne(originUrl('/mug.jpg?X-Amz-Signature=other'))).not.toBe(id);

  const { body: receipt, bytes } = await post<{ url: string }>(
    '/v1/imports',
    JSON.stringify({
      items: [
        { url: missingUrl },
        { url: `ftp://user:${secret}@a.example/?sig=${secret}` },
        { url: [`https://a.example/?sig=${secret}`] },
      ],
    }),
  );
  outputs.push(bytes.toString());
  for (const rejection of [
    await post('/v1/images', JSON.stringify({ url: { href: `https://a.example/?sig=${secret}` } })),
    await post('/v1/imports', `https://a.example/?sig=${secret}\n`, 'text/csv'),
  ]) {
    expect(rejection.status).toBe(400);
    outputs.push(rejection.bytes.toString());
  }
  // Only the invalid line is rejected, not the whole CSV import.
  const csv = await post('/v1/imports', `url\n"https://a.example/"?sig=${secret}"\n`, 'text/csv');
  expect(csv.status).toBe(202);
  outputs.push(csv.bytes.toString());
  for (const path of [
    `/v1/images/${id}`,
    '/v1/images',
    receipt.url,
    '/v1/jobs',
    `/v1/jobs?image=${failedId}`,
    '/api/v1/images/',
    `/api/v1/images/${id}`,
    `/retrieve/asset/${id}`,
  ])
    outputs.push((await call(`${server().url}${path}`)).bytes.toString());
  for (const text of outputs) expect(text).not.toContain(secret);
  expect(outputs[0]).toContain('X-Amz-Date=20261127T000000Z&X-Amz-Signature=[hidden]');
  expect(server().log()).toMatch(/rejected: .*\[hidden\]/);
  expect(server().log()).not.toContain(secret);
});
