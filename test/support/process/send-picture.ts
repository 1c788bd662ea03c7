import { type Answer, type Asset, call, type ImageRecord, upload, uploadQueued } from './client.ts';
import type { PictureOrigin } from './picture-origin.ts';

/** Ways in: answered when the renditions are there, answered before, or fetched from a URL. */
export type Way = 'inline' | 'queued' | 'import';

/** A picture on its way into the catalog of a tenant. */
export interface Sending {
  readonly way: Way;
  readonly name: string;
  readonly bytes: Buffer;
  readonly tenant: string;
  /** Where an import fetches it from. */
  readonly origin: PictureOrigin | undefined;
}

/** Sends a picture; answers what the server said, and the image's number when it took the picture. */
export async function sendPicture(
  base: string,
  { way, name, bytes, tenant, origin }: Sending,
): Promise<{ readonly answer: Answer; readonly id: number | undefined }> {
  if (way === 'inline') return withId(await upload(base, bytes, tenant), 'id');
  if (way === 'queued') return withId<Asset>(await uploadQueued(base, bytes, tenant), 'asset_id');
  if (!origin) throw new Error('There is no origin to import from.');
  return withId(await importFrom(base, origin.offer(name, bytes), tenant), 'id');
}

function importFrom(base: string, url: string, tenant: string): Promise<Answer<ImageRecord>> {
  const headers = { 'content-type': 'application/json' };
  return call(`${base}/v1/images`, { method: 'POST', headers, body: JSON.stringify({ url, tenant }) });
}

function withId<Body>(answer: Answer<Body>, field: keyof Body) {
  const id = answer.status < 300 ? Number(answer.body[field]) : undefined;
  return { answer: answer as unknown as Answer, id };
}
