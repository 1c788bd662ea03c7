import { type ApiResponse, type Asset, call, type ImageRecord, upload, uploadQueued } from './client.ts';
import type { PictureOrigin } from './picture-origin.ts';

/**
 * How a picture is sent: in an upload that waits for the renditions, in an upload that does not wait for them, or in an
 * import from a URL.
 */
export type UploadMethod = 'inline' | 'queued' | 'import';

/** A picture, and how to send it. */
export interface Submission {
  readonly method: UploadMethod;
  readonly name: string;
  readonly bytes: Buffer;
  readonly tenant: string;
  /** The server from which the picture is imported. */
  readonly origin: PictureOrigin | undefined;
}

/** Sends a picture. Returns the response and, if the picture was accepted, the image's id. */
export async function sendPicture(
  base: string,
  { method, name, bytes, tenant, origin }: Submission,
): Promise<{ readonly response: ApiResponse; readonly id: number | undefined }> {
  if (method === 'inline') return withId(await upload(base, bytes, tenant), 'id');
  if (method === 'queued') return withId<Asset>(await uploadQueued(base, bytes, tenant), 'asset_id');
  if (!origin) throw new Error('There is no origin to import from.');
  return withId(await importFrom(base, origin.serve(name, bytes), tenant), 'id');
}

function importFrom(base: string, url: string, tenant: string): Promise<ApiResponse<ImageRecord>> {
  const headers = { 'content-type': 'application/json' };
  return call(`${base}/v1/images`, { method: 'POST', headers, body: JSON.stringify({ url, tenant }) });
}

function withId<Body>(response: ApiResponse<Body>, field: keyof Body) {
  const id = response.status < 300 ? Number(response.body[field]) : undefined;
  return { response: response as unknown as ApiResponse, id };
}
