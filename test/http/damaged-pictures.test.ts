import { expect, test } from 'vitest';
import {
  call,
  expectProblem,
  waitForFinishedImage,
  upload,
  uploadQueued,
} from '../support/process/client.ts';
import { truncatedJpeg, drawing } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';

const server = useServer();

/** Creates a PNG with a valid header and corrupt pixel data. */
async function makeCorruptPng(seed: string): Promise<Buffer> {
  const bytes = await drawing(seed).png().toBuffer();
  bytes.fill(0xa5, Math.floor(bytes.length / 3), Math.floor(bytes.length / 2));
  return bytes;
}

const countImages = async () => (await call(`${server().url}/v1/images`)).body['total'];

test('rejects an undecodable inline upload and stores nothing', async () => {
  const countBefore = await countImages();
  for (const [code, bytes] of [
    ['picture_cut', await truncatedJpeg('inline')],
    ['picture_corrupt', await makeCorruptPng('inline')],
  ] as const) {
    const { status, body } = await upload(server().url, bytes);
    expect([status, body]).toMatchObject([400, { code, family: 'picture_damaged' }]);
  }
  expect(await countImages()).toBe(countBefore);
  expect((await call(`${server().url}/v1/metrics`)).body['tenant_counts']).toMatchObject({ default: 0 });
});

test('rejects twenty concurrent uploads of the same damaged bytes', async () => {
  const bytes = await truncatedJpeg('concurrent');
  const responses = await Promise.all(
    Array.from({ length: 20 }, () => upload(server().url, bytes, 'concurrent')),
  );
  for (const { status } of responses) expect(status).toBe(400);
  expect(await countImages()).toBe(0);
});

test('marks the image of an undecodable queued upload as failed, and reports the reason in every response', async () => {
  const { url } = server();
  const { status, body } = await uploadQueued(url, await makeCorruptPng('queued'));
  expect(status).toBe(200);
  const image = await waitForFinishedImage(url, body.asset_id);
  expect(image).toMatchObject({ status: 'failed', renditions: [] });
  const { error_code, error_family } = (await call(`${url}/v1/images/${image.id}`)).body;
  expect([error_code, error_family]).toEqual(['picture_corrupt', 'picture_damaged']);
  const jobs = (await call(`${url}/v1/jobs?code=picture_damaged`)).body;
  expect(jobs).toMatchObject({ total: 1, items: [{ code: 'picture_corrupt', family: 'picture_damaged' }] });
  expect(image.error).toMatch(/^[A-Z].{15,}\.$/);
  const reason = image.error ?? 'no reason';
  for (const path of [`/retrieve/rendition/${image.id}/thumb`, `/v1/images/${image.uuid}/thumbnail`]) {
    const response = await call(url + path);
    expect(expectProblem(response, 404, 'rendition_not_ready'), path).toContain(reason.replace(/\.$/, ''));
  }
  const failedImages = await call(`${url}/v1/images?status=failed`);
  expect(failedImages.body).toMatchObject({ total: 1, items: [{ id: image.id, error: reason }] });
  expect((await call(`${url}/v1/images/${image.id}/original`)).status).toBe(200);
});

test('retries a failed image when the same bytes are uploaded again', async () => {
  const { url } = server();
  const bytes = await makeCorruptPng('retried');
  const firstUpload = (await uploadQueued(url, bytes)).body;
  expect(await waitForFinishedImage(url, firstUpload.asset_id)).toMatchObject({ status: 'failed' });
  const retriedUpload = (await uploadQueued(url, bytes)).body;
  expect(retriedUpload).toMatchObject({ asset_id: firstUpload.asset_id, status: 'uploaded' });
  expect(retriedUpload.job_id).toEqual(expect.any(Number));
  expect(await waitForFinishedImage(url, firstUpload.asset_id)).toMatchObject({ status: 'failed' });
});

test('rejects an inline upload of a picture whose queued upload failed, and keeps the failed image', async () => {
  const { url } = server();
  const bytes = await truncatedJpeg('both ways');
  const { asset_id } = (await uploadQueued(url, bytes)).body;
  await waitForFinishedImage(url, asset_id);
  const response = await upload(url, bytes);
  expect([response.status, response.body]).toMatchObject([400, { code: 'picture_cut' }]);
  expect(await waitForFinishedImage(url, asset_id)).toMatchObject({ status: 'failed' });
});
