import { setTimeout as sleep } from 'node:timers/promises';
import { call, type ImageRecord, finishedImage, upload } from '../../support/process/client.ts';
import { drawing } from '../../support/process/pictures.ts';
import { waitTimeoutMs } from '../../support/time-scale.ts';

/** The token that confirms a purge. */
export const confirmToken = 'yes, remove them';

interface Line {
  readonly image_id: number;
}
interface Receipt {
  readonly id: number;
  readonly uuid: string;
  readonly lines: readonly Line[];
}

/** The data on the server before the requests start. */
export interface ServerData {
  readonly origin: string;
  readonly tenants: readonly string[];
  /** Completed images with a reference, so that purges keep them. */
  readonly referenced: readonly ImageRecord[];
  /** Images to delete: of a tenant of their own, and of the tenant `default`. */
  readonly deletable: ImageRecord[];
  readonly deletableOfDefault: ImageRecord[];
  readonly failedJobs: number[];
  readonly imports: readonly (number | string)[];
  readonly cursor: string;
}

/** Generates small, distinct pictures in several formats. */
export function makePictures(count: number): Promise<Buffer[]> {
  return Promise.all(
    Array.from({ length: count }, (_, index) => {
      const picture = drawing(`picture ${index}`, 24 + index, 20);
      const formats = [picture.jpeg(), picture.clone().png(), picture.clone().webp(), picture.clone().gif()];
      return (formats[index % formats.length] ?? picture.jpeg()).toBuffer();
    }),
  );
}

/** Paths of pictures on the origin server. */
export const picturePaths = Array.from({ length: 400 }, (_, index) => `/pictures/${index}.jpg`);

/** Fills a server through its API, with enough images and jobs for `requests` destructive requests to each operation. */
export async function fillServer(base: string, origin: string, requests: number): Promise<ServerData> {
  const tenants = ['default', 'shop-a', 'shop.B_2'];
  const referenced = await Promise.all(
    [...tenants, ...tenants].map((tenant, i) => uploadReferenced(base, tenant, i)),
  );
  const count = requests + 10;
  const urls = picturePaths.map((path) => origin + path);
  const receipts = [
    await importMany(base, urls.slice(0, count), 'disposable'),
    await importMany(base, urls.slice(count, 2 * count), 'default'),
    await importMany(base, missingUrls(origin, count), 'shop-a'),
  ];
  for (const { id } of receipts) await waitForImport(base, id);
  const [deletable, deletableOfDefault] = await Promise.all(
    receipts
      .slice(0, 2)
      .map(({ lines }) => Promise.all(lines.map((line) => finishedImage(base, line.image_id)))),
  );
  await deleteSome(base, deletable ?? []);
  return {
    origin,
    tenants,
    referenced,
    deletable: deletable ?? [],
    deletableOfDefault: deletableOfDefault ?? [],
    failedJobs: await failedJobs(base),
    imports: receipts.flatMap(({ id, uuid }) => [id, uuid]),
    cursor: await firstCursor(base),
  };
}

function missingUrls(origin: string, length: number): string[] {
  return Array.from({ length }, (_, index) => `${origin}/missing/${index}.jpg`);
}

async function uploadReferenced(base: string, tenant: string, index: number): Promise<ImageRecord> {
  const { body } = await upload(base, await drawing(`referenced ${index}`).jpeg().toBuffer(), tenant);
  await call(`${base}/v1/images/${body.id}/references/page`, { method: 'PUT' });
  return body;
}

async function importMany(base: string, urls: readonly string[], tenant: string): Promise<Receipt> {
  const response = await call<Receipt>(`${base}/v1/imports`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ urls, tenant }),
  });
  return response.body;
}

async function waitForImport(base: string, id: number): Promise<void> {
  const deadline = performance.now() + waitTimeoutMs;
  while (performance.now() < deadline) {
    const { body } = await call<{ finished: boolean }>(`${base}/v1/imports/${id}`);
    if (body.finished) return;
    await sleep(100);
  }
  throw new Error(`Import ${id} was not finished within ${waitTimeoutMs / 1_000} s.`);
}

/** Deletes some images, so that lists and purges meet deleted ones. */
async function deleteSome(base: string, images: ImageRecord[]): Promise<void> {
  for (const { id } of images.splice(0, 5)) await call(`${base}/v1/images/${id}`, { method: 'DELETE' });
}

async function failedJobs(base: string): Promise<number[]> {
  const { body } = await call<{ items: { id: number }[] }>(
    `${base}/v1/jobs?state=failed&kind=import&limit=100`,
  );
  return body.items.map(({ id }) => id);
}

async function firstCursor(base: string): Promise<string> {
  return (await call<{ next_cursor: string }>(`${base}/v1/images?limit=1`)).body.next_cursor;
}
