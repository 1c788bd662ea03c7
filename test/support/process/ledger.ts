import { expect } from 'vitest';
import { type ApiResponse, call, type ImageRecord, waitForFinishedImage } from './client.ts';
import type { PictureOrigin } from './picture-origin.ts';
import { jpeg, sha256 } from './pictures.ts';
import { sendPicture, type UploadMethod } from './send-picture.ts';

/** A client-side record of acknowledged requests, with which tests verify that the server loses none of them. */
export interface Ledger {
  /**
   * Uploads a new picture. Returns its image id, or `undefined` if the server rejected the upload or did not respond.
   */
  upload(base: string, method: UploadMethod): Promise<number | undefined>;
  /**
   * Resends every picture whose upload was never acknowledged, and expects success. Returns the number of resent
   * pictures.
   */
  resendUnacknowledged(base: string): Promise<number>;
  /** Deletes an image whose upload was acknowledged. */
  deleteOne(base: string): Promise<void>;
  /**
   * Verifies that each image whose upload was acknowledged exists, unless it was deleted, and that no deleted image
   * exists.
   */
  check(base: string): Promise<void>;
  /** Content hashes of the images whose upload was acknowledged, by image id. */
  readonly acknowledged: ReadonlyMap<number, string>;
}

/** Options for a ledger. */
export interface LedgerOptions {
  /** Width and height of the pictures, in pixels. */
  readonly size?: readonly [width: number, height: number];
  /** The origin of imports. Required for the method `import`. */
  readonly origin?: PictureOrigin;
  /** Called with each response, or with the error of a request that received no response. */
  readonly observe?: (response: ApiResponse | Error) => void;
}

interface SentPicture {
  readonly seed: string;
  readonly method: UploadMethod;
}

/** Creates a ledger for a tenant that has no other client. */
export function makeLedger(tenant: string, options: LedgerOptions = {}): Ledger {
  const { size = [1200, 900], origin, observe = () => undefined } = options;
  const acknowledged = new Map<number, string>();
  const unacknowledged = new Set<SentPicture>();
  const deletedIds = new Set<number>();
  /** Images whose deletion was not acknowledged. They may or may not exist. */
  const unconfirmedDeletes = new Set<number>();
  /**
   * Content hashes of all sent pictures. Even if an upload was not acknowledged, the server may have stored its
   * picture, but only once.
   */
  const sentHashes = new Set<string>();
  let count = 0;

  async function send(base: string, { seed, method }: SentPicture): Promise<number | undefined> {
    const bytes = await jpeg(seed, ...size);
    const hash = sha256(bytes);
    sentHashes.add(hash);
    try {
      const { response, id } = await sendPicture(base, { method, name: seed, bytes, tenant, origin });
      observe(response);
      if (id !== undefined) acknowledged.set(id, hash);
      return id;
    } catch (error) {
      observe(error as Error);
      return undefined;
    }
  }

  async function sendNew(base: string, method: UploadMethod): Promise<number | undefined> {
    const picture = { seed: `${tenant} ${count++}`, method };
    unacknowledged.add(picture);
    const id = await send(base, picture);
    if (id !== undefined) unacknowledged.delete(picture);
    return id;
  }

  async function resendUnacknowledged(base: string): Promise<number> {
    const pictures = [...unacknowledged];
    for (const picture of pictures) {
      const ids = [await send(base, picture), await send(base, picture)];
      expect(ids[0], `${picture.method} ${picture.seed}, resent`).toBeDefined();
      expect(ids[1], `${picture.method} ${picture.seed}, resent twice`).toBe(ids[0]);
      unacknowledged.delete(picture);
    }
    return pictures.length;
  }

  async function deleteOne(base: string): Promise<void> {
    const id = [...acknowledged.keys()].find(
      (candidate) => !deletedIds.has(candidate) && !unconfirmedDeletes.has(candidate),
    );
    if (id === undefined) return;
    unconfirmedDeletes.add(id);
    const response = await call(`${base}/v1/images/${id}`, { method: 'DELETE' }).catch(() => undefined);
    if (response?.status !== 204) return;
    unconfirmedDeletes.delete(id);
    deletedIds.add(id);
  }

  async function checkList(base: string): Promise<void> {
    const items = await listAll(base, tenant);
    const hashes = items.map(({ content_hash }) => content_hash);
    expect(new Set(hashes).size, 'no content exists twice').toBe(hashes.length);
    expect(
      hashes.filter((hash) => !sentHashes.has(hash)),
      'every image was sent by this client',
    ).toEqual([]);
    // The server may have stored a picture without acknowledging its upload. It must then also complete the image.
    for (const { id, status } of items)
      if (status !== 'completed')
        expect(await waitForFinishedImage(base, id)).toMatchObject({ status: 'completed' });
  }

  return {
    acknowledged,
    upload: sendNew,
    resendUnacknowledged,
    deleteOne,
    async check(base) {
      for (const id of deletedIds)
        expect((await call(`${base}/v1/images/${id}`)).status, `image ${id} was deleted`).toBe(404);
      for (const [id, hash] of acknowledged)
        if (!deletedIds.has(id) && !unconfirmedDeletes.has(id)) await checkPictures(base, id, hash);
      await checkList(base);
    },
  };
}

async function listAll(base: string, tenant: string): Promise<ImageRecord[]> {
  const images: ImageRecord[] = [];
  for (;;) {
    const query = `${base}/v1/images?tenant=${tenant}&limit=100&offset=${images.length}`;
    const { items, total } = (await call<{ items: ImageRecord[]; total: number }>(query)).body;
    images.push(...items);
    if (items.length === 0 || images.length >= total) {
      expect(images).toHaveLength(total);
      return images;
    }
  }
}

async function checkPictures(base: string, id: number, hash: string): Promise<void> {
  const image = await waitForFinishedImage(base, id);
  expect(image, `image ${id}`).toMatchObject({ status: 'completed', content_hash: hash });
  expect(image.renditions.map(({ preset }) => preset).toSorted()).toEqual(['card', 'thumb', 'zoom']);
  expect(sha256((await call(`${base}/v1/images/${id}/original`)).bytes), `original of ${id}`).toBe(hash);
  for (const { url, size_bytes } of image.renditions)
    expect((await call(base + url)).bytes, url).toHaveLength(size_bytes);
}
