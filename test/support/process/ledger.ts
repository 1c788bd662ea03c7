import { expect } from 'vitest';
import { type Answer, call, type ImageRecord, settled } from './client.ts';
import type { PictureOrigin } from './picture-origin.ts';
import { jpeg, sha256 } from './pictures.ts';
import { sendPicture, type Way } from './send-picture.ts';

/** What a client was told, kept outside of the server: an upload or a deletion counts once it was answered. */
export interface Ledger {
  /** Sends a new picture; `undefined` when the server did not take it, or went away before it answered. */
  upload(base: string, way: Way): Promise<number | undefined>;
  /** Sends once more what was never acknowledged, until it is; answers how many these were. */
  repeatUnanswered(base: string): Promise<number>;
  /** Deletes an image that was acknowledged before. */
  deleteOne(base: string): Promise<void>;
  /** Holds the server to all that it acknowledged. */
  check(base: string): Promise<void>;
  readonly acknowledged: ReadonlyMap<number, string>;
}

/** How a ledger makes pictures, and who else looks at the answers. */
export interface LedgerOptions {
  /** Width and height of its pictures. */
  readonly size?: readonly [width: number, height: number];
  /** Where imports fetch from; without one there are none. */
  readonly origin?: PictureOrigin;
  /** Told of each answer, and of each request without one. */
  readonly observe?: (answer: Answer | Error) => void;
}

interface Sent {
  readonly seed: string;
  readonly way: Way;
}

/** A ledger of one tenant, which nobody else writes to. */
export function makeLedger(tenant: string, options: LedgerOptions = {}): Ledger {
  const { size = [1200, 900], origin, observe = () => undefined } = options;
  const acknowledged = new Map<number, string>();
  const unanswered = new Set<Sent>();
  const deleted = new Set<number>();
  /** Asked to be deleted and never answered: these may be there or not. */
  const unsure = new Set<number>();
  /** Hashes of everything that was sent: what was never answered may be there as well, but once. */
  const sent = new Set<string>();
  let count = 0;

  async function send(base: string, { seed, way }: Sent): Promise<number | undefined> {
    const bytes = await jpeg(seed, ...size);
    const hash = sha256(bytes);
    sent.add(hash);
    try {
      const { answer, id } = await sendPicture(base, { way, name: seed, bytes, tenant, origin });
      observe(answer);
      if (id !== undefined) acknowledged.set(id, hash);
      return id;
    } catch (error) {
      observe(error as Error);
      return undefined;
    }
  }

  async function sendNew(base: string, way: Way): Promise<number | undefined> {
    const picture = { seed: `${tenant} ${count++}`, way };
    unanswered.add(picture);
    const id = await send(base, picture);
    if (id !== undefined) unanswered.delete(picture);
    return id;
  }

  async function repeatUnanswered(base: string): Promise<number> {
    const pictures = [...unanswered];
    for (const picture of pictures) {
      const ids = [await send(base, picture), await send(base, picture)];
      expect(ids[0], `${picture.way} ${picture.seed}, sent again`).toBeDefined();
      expect(ids[1], `${picture.way} ${picture.seed}, sent twice again`).toBe(ids[0]);
      unanswered.delete(picture);
    }
    return pictures.length;
  }

  async function deleteOne(base: string): Promise<void> {
    const id = [...acknowledged.keys()].find(
      (candidate) => !deleted.has(candidate) && !unsure.has(candidate),
    );
    if (id === undefined) return;
    unsure.add(id);
    const answer = await call(`${base}/v1/images/${id}`, { method: 'DELETE' }).catch(() => undefined);
    if (answer?.status !== 204) return;
    unsure.delete(id);
    deleted.add(id);
  }

  async function checkList(base: string): Promise<void> {
    const items = await listAll(base, tenant);
    const hashes = items.map(({ content_hash }) => content_hash);
    expect(new Set(hashes).size, 'nothing is doubled').toBe(hashes.length);
    expect(
      hashes.filter((hash) => !sent.has(hash)),
      'nothing is invented',
    ).toEqual([]);
    // What was never acknowledged is either complete or not there.
    for (const { id, status } of items)
      if (status !== 'completed') expect(await settled(base, id)).toMatchObject({ status: 'completed' });
  }

  return {
    acknowledged,
    upload: sendNew,
    repeatUnanswered,
    deleteOne,
    async check(base) {
      for (const id of deleted)
        expect((await call(`${base}/v1/images/${id}`)).status, `image ${id} was deleted`).toBe(404);
      for (const [id, hash] of acknowledged)
        if (!deleted.has(id) && !unsure.has(id)) await checkPictures(base, id, hash);
      await checkList(base);
    },
  };
}

async function listAll(base: string, tenant: string): Promise<ImageRecord[]> {
  const all: ImageRecord[] = [];
  for (;;) {
    const query = `${base}/v1/images?tenant=${tenant}&limit=100&offset=${all.length}`;
    const { items, total } = (await call<{ items: ImageRecord[]; total: number }>(query)).body;
    all.push(...items);
    if (items.length === 0 || all.length >= total) {
      expect(all).toHaveLength(total);
      return all;
    }
  }
}

async function checkPictures(base: string, id: number, hash: string): Promise<void> {
  const image = await settled(base, id);
  expect(image, `image ${id}`).toMatchObject({ status: 'completed', content_hash: hash });
  expect(image.renditions.map(({ preset }) => preset).toSorted()).toEqual(['card', 'thumb', 'zoom']);
  expect(sha256((await call(`${base}/v1/images/${id}/original`)).bytes), `original of ${id}`).toBe(hash);
  for (const { url, size_bytes } of image.renditions)
    expect((await call(base + url)).bytes, url).toHaveLength(size_bytes);
}
