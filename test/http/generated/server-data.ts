import { setTimeout as sleep } from 'node:timers/promises';
import { call, type ImageRecord, waitForFinishedImage, upload } from '../../support/process/client.ts';
import { drawing } from '../../support/process/pictures.ts';
import { waitTimeoutMs } from '../../support/time-scale.ts';

/** The token that confirms a purge. */
export const confirmToken = 'yes, remove them';

/** The tenant whose settings requests may change. */
export const configuredTenant = 'configured';

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
  readonly referencedImages: readonly ImageRecord[];
  /** Images of a separate tenant that requests may delete. */
  readonly deletableImages: ImageRecord[];
  /** Images of the `default` tenant that requests may delete. */
  readonly deletableDefaultImages: ImageRecord[];
  readonly failedJobs: number[];
  /** Ids of API keys. The first is never replaced or revoked. */
  readonly keyIds: string[];
  readonly imports: readonly (number | string)[];
  /** Ids of re-renderings, all of which may have ended. */
  readonly renderings: readonly number[];
  readonly cursor: string;
  /** A group of duplicates. A repeated request to resolve it succeeds. */
  readonly group: { readonly id: number; readonly kept: ImageRecord; readonly discarded: ImageRecord };
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

/** Fills a server through its API with enough images and jobs for `requestCount` destructive requests to each operation. */
export async function fillServer(baseUrl: string, origin: string, requestCount: number): Promise<ServerData> {
  const tenants = ['default', 'shop-a', 'shop.B_2'];
  const referencedImages = await Promise.all(
    [...tenants, ...tenants, configuredTenant].map((tenant, i) => uploadReferenced(baseUrl, tenant, i)),
  );
  const importCount = requestCount + 10;
  const urls = picturePaths.map((path) => origin + path);
  const receipts = [
    await importMany(baseUrl, urls.slice(0, importCount), 'disposable'),
    await importMany(baseUrl, urls.slice(importCount, 2 * importCount), 'default'),
    await importMany(baseUrl, makeMissingUrls(origin, importCount), 'shop-a'),
  ];
  for (const { id } of receipts) await waitForImport(baseUrl, id);
  const [deletableImages, deletableDefaultImages] = await Promise.all(
    receipts
      .slice(0, 2)
      .map(({ lines }) => Promise.all(lines.map((line) => waitForFinishedImage(baseUrl, line.image_id)))),
  );
  await deleteSome(baseUrl, deletableImages ?? []);
  return {
    origin,
    tenants,
    referencedImages,
    deletableImages: deletableImages ?? [],
    deletableDefaultImages: deletableDefaultImages ?? [],
    failedJobs: await listFailedJobs(baseUrl),
    keyIds: await createKeys(baseUrl, 10 * requestCount + 10),
    imports: receipts.flatMap(({ id, uuid }) => [id, uuid]),
    renderings: [await startRendering(baseUrl)],
    cursor: await findFirstCursor(baseUrl),
    group: await createGroup(baseUrl),
  };
}

function makeMissingUrls(origin: string, length: number): string[] {
  return Array.from({ length }, (_, index) => `${origin}/missing/${index}.jpg`);
}

async function startRendering(baseUrl: string): Promise<number> {
  const { body } = await call<{ readonly rendering: { readonly id: number } }>(`${baseUrl}/v1/renderings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ preset: 'thumb' }),
  });
  return body.rendering.id;
}

async function createGroup(baseUrl: string): Promise<ServerData['group']> {
  const tenant = 'twins';
  const kept = await uploadReferenced(baseUrl, tenant, 8);
  const discarded = await uploadReferenced(baseUrl, tenant, 9);
  await call(`${baseUrl}/v1/images/${kept.id}/duplicates/${discarded.id}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ verdict: 'same' }),
  });
  const { body } = await call<{ items: { id: number }[] }>(`${baseUrl}/v1/duplicates?tenant=${tenant}`);
  return { id: body.items[0]?.id ?? 0, kept, discarded };
}

async function uploadReferenced(baseUrl: string, tenant: string, index: number): Promise<ImageRecord> {
  const { body } = await upload(baseUrl, await drawing(`referenced ${index}`).jpeg().toBuffer(), tenant);
  await call(`${baseUrl}/v1/images/${body.id}/references/page`, { method: 'PUT' });
  return body;
}

async function importMany(baseUrl: string, urls: readonly string[], tenant: string): Promise<Receipt> {
  const response = await call<Receipt>(`${baseUrl}/v1/imports`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ urls, tenant }),
  });
  return response.body;
}

async function waitForImport(baseUrl: string, id: number): Promise<void> {
  const deadline = performance.now() + waitTimeoutMs;
  while (performance.now() < deadline) {
    const { body } = await call<{ finished: boolean }>(`${baseUrl}/v1/imports/${id}`);
    if (body.finished) return;
    await sleep(100);
  }
  throw new Error(`Import ${id} was not finished within ${waitTimeoutMs / 1_000} s.`);
}

/** Deletes some images, so that lists and purges are also tested with deleted images. */
async function deleteSome(baseUrl: string, images: ImageRecord[]): Promise<void> {
  for (const { id } of images.splice(0, 5)) await call(`${baseUrl}/v1/images/${id}`, { method: 'DELETE' });
}

async function listFailedJobs(baseUrl: string): Promise<number[]> {
  const { body } = await call<{ items: { id: number }[] }>(
    `${baseUrl}/v1/jobs?state=failed&kind=import&limit=100`,
  );
  return body.items.map(({ id }) => id);
}

async function createKeys(baseUrl: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) {
    const { body } = await call<{ id: string }>(`${baseUrl}/v1/keys`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: `key ${ids.length}`, role: 'reader' }),
    });
    ids.push(body.id);
  }
  return ids;
}

async function findFirstCursor(baseUrl: string): Promise<string> {
  return (await call<{ next_cursor: string }>(`${baseUrl}/v1/images?limit=1`)).body.next_cursor;
}
