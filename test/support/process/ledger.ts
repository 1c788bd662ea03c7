import { expect } from 'vitest';
import { call, type ImageRecord, settled, upload, uploadQueued } from './client.ts';
import { jpeg, sha256 } from './pictures.ts';

/** What a client was told, kept outside of the server: an upload or a deletion counts once it was answered. */
export interface Ledger {
  /** Sends a new picture; `undefined` when the server went away before it answered. */
  upload(base: string, how: 'inline' | 'queued'): Promise<number | undefined>;
  /** Deletes an image that was acknowledged before. */
  deleteOne(base: string): Promise<void>;
  /** Holds the server to all that it acknowledged. */
  check(base: string): Promise<void>;
  readonly acknowledged: ReadonlyMap<number, string>;
}

/** A ledger of one tenant, which nobody else writes to. */
export function makeLedger(tenant: string): Ledger {
  const acknowledged = new Map<number, string>();
  const deleted = new Set<number>();
  /** Asked to be deleted and never answered: these may be there or not. */
  const unsure = new Set<number>();
  /** Hashes of everything that was sent: what was never answered may be there as well, but once. */
  const sent = new Set<string>();

  async function sendPicture(base: string, how: 'inline' | 'queued'): Promise<number | undefined> {
    const bytes = await jpeg(`${tenant} ${sent.size}`, 1200, 900);
    const hash = sha256(bytes);
    sent.add(hash);
    const answer = await (how === 'inline'
      ? upload(base, bytes, tenant).then(({ status, body: { id } }) => ({ status, id }))
      : uploadQueued(base, bytes, tenant).then(({ status, body: { asset_id: id } }) => ({ status, id }))
    ).catch(() => undefined);
    if (!answer || answer.status >= 300) return undefined;
    acknowledged.set(answer.id, hash);
    return answer.id;
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

  async function checkPictures(base: string, id: number, hash: string): Promise<void> {
    const image = await settled(base, id);
    expect(image, `image ${id}`).toMatchObject({ status: 'completed', content_hash: hash });
    expect(image.renditions.map(({ preset }) => preset).toSorted()).toEqual(['card', 'thumb', 'zoom']);
    expect(sha256((await call(`${base}/v1/images/${id}/original`)).bytes), `original of ${id}`).toBe(hash);
    for (const { url, size_bytes } of image.renditions)
      expect((await call(base + url)).bytes, url).toHaveLength(size_bytes);
  }

  return {
    acknowledged,
    upload: sendPicture,
    deleteOne,
    async check(base) {
      const query = `${base}/v1/images?tenant=${tenant}&limit=100`;
      const { items, total } = (await call<{ items: ImageRecord[]; total: number }>(query)).body;
      expect(items).toHaveLength(total);
      const hashes = items.map(({ content_hash }) => content_hash);
      expect(new Set(hashes).size, 'nothing is doubled').toBe(hashes.length);
      expect(
        hashes.filter((hash) => !sent.has(hash)),
        'nothing is invented',
      ).toEqual([]);
      for (const id of deleted)
        expect((await call(`${base}/v1/images/${id}`)).status, `image ${id} was deleted`).toBe(404);
      for (const [id, hash] of acknowledged)
        if (!deleted.has(id) && !unsure.has(id)) await checkPictures(base, id, hash);
      // What was never acknowledged is either complete or not there.
      for (const { id } of items) expect(await settled(base, id)).toMatchObject({ status: 'completed' });
    },
  };
}
