import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { stagedFiles } from '../support/process/data-folder.ts';
import { call, expectProblem, type ImageRecord, waitForFinishedImage } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { s3Environment } from '../support/process/s3.ts';
import { useServer } from '../support/process/server.ts';
import { services } from '../support/services.ts';
import { expectDocumented } from './support/documented.ts';

/** The response to `POST /v1/uploads`. */
interface Offer {
  readonly id: string;
  readonly url: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly expires_at: string;
  readonly max_bytes: number;
}

const maxBytes = 2 ** 20;

describe.skipIf(!services.s3Endpoint)('a server with S3 storage', () => {
  const server = useServer(s3Environment({ MAX_UPLOAD_BYTES: String(maxBytes), S3_PRESIGN_SECONDS: '60' }));

  async function post<Body = Record<string, unknown>>(path: string, body: unknown) {
    const headers = { 'content-type': 'application/json' };
    const response = await call<Body>(server().url + path, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    expectDocumented('POST', path.split('?')[0] ?? '', response);
    return response;
  }

  /** Requests a presigned URL and uploads bytes to it. The S3 server in these tests does not check sizes. */
  async function sendPresigned(
    bytes: Buffer,
    fields: Record<string, string> = {},
    size = bytes.length,
  ): Promise<Offer> {
    const { status, body, headers } = await post<Offer>('/v1/uploads', { size_bytes: size, ...fields });
    expect([status, headers.get('cache-control')]).toEqual([201, 'no-store']);
    const { 'Content-Length': length, ...otherHeaders } = body.headers;
    expect(Number(length)).toBe(size);
    const { method, url } = body;
    expect((await fetch(url, { method, headers: otherHeaders, body: new Uint8Array(bytes) })).status).toBe(
      200,
    );
    return body;
  }

  test('ingests a presigned upload once, like any other upload', async () => {
    const bytes = await jpeg('presigned', 300, 200);
    const offer = await sendPresigned(bytes, { tenant: 'shop', filename: 'große Tasse.jpg' });
    expect(offer.max_bytes).toBe(maxBytes);
    expect(Date.parse(offer.expires_at) - Date.now()).toBeLessThanOrEqual(60_000);
    const { searchParams } = new URL(offer.url);
    expect(searchParams.get('X-Amz-SignedHeaders')).toBe('content-length;host;x-amz-meta-filename');
    expect(searchParams.get('X-Amz-Expires')).toBe('60');

    const createdImage = await post<ImageRecord>('/v1/images', { upload: offer.id, tenant: 'shop' });
    expect(createdImage.status).toBe(201);
    expect(createdImage.headers.get('location')).toBe(`/v1/images/${createdImage.body.id}`);
    expect(createdImage.body).toMatchObject({
      status: 'completed',
      tenant: 'shop',
      original_filename: 'große Tasse.jpg',
      original_width: 300,
    });
    const original = await call(`${server().url}/v1/images/${createdImage.body.id}/original`);
    expect(original.bytes.equals(bytes)).toBe(true);

    const repeatedRequest = await post('/v1/images', { upload: offer.id, tenant: 'shop' });
    expect(expectProblem(repeatedRequest, 404, 'upload_not_found')).toContain(
      'has already been ingested, or has expired',
    );
    const secondOffer = await sendPresigned(bytes, { tenant: 'shop' });
    const secondImage = await post<ImageRecord>('/v1/images', { upload: secondOffer.id, tenant: 'shop' });
    expect([secondImage.status, secondImage.body.id]).toEqual([200, createdImage.body.id]);
  });

  test('accepts mode=queued and a file name when it ingests a presigned upload', async () => {
    const { id } = await sendPresigned(await jpeg('presigned and queued'));
    const response = await post<ImageRecord>('/v1/images?mode=queued', {
      upload: id.toUpperCase(),
      filename: 'named-later.jpg',
    });
    expect([response.status, response.body.original_filename]).toEqual([202, 'named-later.jpg']);
    expect((await waitForFinishedImage(server().url, response.body.id)).status).toBe('completed');
  });

  test('returns the same image to two concurrent requests for the same upload', async () => {
    const { id } = await sendPresigned(await jpeg('ingested twice'));
    const responses = await Promise.all([1, 2].map(() => post<ImageRecord>('/v1/images', { upload: id })));
    expect(responses.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 201]);
    expect(responses[0]?.body.id).toBe(responses[1]?.body.id);
  });

  test('rejects another tenant’s upload and invalid upload ids', async () => {
    const { id } = await sendPresigned(await jpeg('shop'), { tenant: 'shop' });
    await sendPresigned(await jpeg('other'), { tenant: 'other' });
    expectProblem(await post('/v1/images', { upload: id, tenant: 'other' }), 404, 'upload_not_found');
    expectProblem(await post('/v1/images', { upload: id, tenant: 'unknown' }), 404, 'tenant_not_found');
    expectProblem(await post('/v1/images', { upload: randomUUID() }), 404, 'upload_not_found');
    for (const upload of ['../../originals/1/aa', `2/${id}`, '', 7, null]) {
      expectProblem(await post('/v1/images', { upload, tenant: 'other' }), 400, 'invalid_request');
    }
    expect((await post('/v1/images', { upload: id, tenant: 'shop' })).status).toBe(201);
  });

  test('rejects a file that is too large, both before and after the upload', async () => {
    const response = await post('/v1/uploads', { size_bytes: maxBytes + 1 });
    expect(expectProblem(response, 413, 'body_too_large')).toBe(
      `The file is ${maxBytes + 1} bytes; the limit is ${maxBytes} bytes (1 MiB).`,
    );
    const { id } = await sendPresigned(Buffer.alloc(3 * maxBytes), {}, 1_000);
    expectProblem(await post('/v1/images', { upload: id }), 413, 'body_too_large');
    expect(await stagedFiles(join(server().dataDir, 'staging'))).toEqual([]);
  });

  test('rejects a file that is not a picture, and rejects it again if the request is repeated', async () => {
    const { id } = await sendPresigned(Buffer.from('not a picture'));
    for (let round = 0; round < 2; round += 1)
      expectProblem(await post('/v1/images', { upload: id }), 400, 'not_a_picture');
    const emptyOffer = await sendPresigned(Buffer.alloc(0), {}, 1);
    expectProblem(await post('/v1/images', { upload: emptyOffer.id }), 400, 'empty_file');
  });

  test.each([
    {},
    { size_bytes: 0 },
    { size_bytes: -1 },
    { size_bytes: 1.5 },
    { size_bytes: '10' },
    { size_bytes: 1, x: 1 },
  ])('rejects the upload request %j', async (body) => {
    expectProblem(await post('/v1/uploads', body), 400, 'invalid_request');
  });

  test('rejects an invalid tenant name', async () => {
    expectProblem(await post('/v1/uploads', { size_bytes: 1, tenant: 'a b' }), 400, 'invalid_tenant');
  });
});

describe('a server with local storage', () => {
  const server = useServer();

  test('rejects presigned uploads and suggests a different operation', async () => {
    const response = await call(`${server().url}/v1/uploads`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"size_bytes":1}',
    });
    expect(expectProblem(response, 409, 'upload_not_offered')).toBe(
      'Presigned uploads require STORAGE_TYPE=s3. Send the file to POST /v1/images instead.',
    );
  });
});
