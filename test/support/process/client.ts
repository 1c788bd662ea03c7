import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { waitTimeoutMs } from '../time-scale.ts';

/** The fields of a `/v1` image record that tests read. */
export interface ImageRecord {
  readonly id: number;
  readonly uuid: string;
  readonly tenant: string;
  readonly status: string;
  readonly error: string | null;
  readonly content_hash: string;
  readonly original_filename: string;
  readonly original_width: number;
  readonly original_height: number;
  readonly metadata: { readonly format: string };
  readonly renditions: readonly {
    readonly preset: string;
    readonly url: string;
    readonly size_bytes: number;
    readonly format: string;
    readonly width: number;
    readonly height: number;
  }[];
  readonly focus: { readonly x: number; readonly y: number } | null;
  readonly delivery: Readonly<Record<string, DeliveryRecord>>;
}

/** The addresses of a preset's renditions in a `/v1` image record. */
export interface DeliveryRecord {
  readonly formats: Readonly<Record<string, string>>;
  readonly negotiated: string;
  readonly width: number | null;
  readonly height: number | null;
  readonly srcset: string;
  readonly srcsets: Readonly<Record<string, string>>;
}

/** A response with its complete body. */
export interface ApiResponse<Body = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  /** The body parsed as JSON. */
  readonly body: Body;
}

/** Sends a request and reads the whole response. */
export async function call<Body = Record<string, unknown>>(
  url: string,
  init: RequestInit = {},
): Promise<ApiResponse<Body>> {
  const response = await fetch(url, { signal: AbortSignal.timeout(waitTimeoutMs), ...init });
  const bytes = Buffer.from(await response.arrayBuffer());
  const { status, headers } = response;
  return {
    status,
    headers,
    bytes,
    get body() {
      return JSON.parse(bytes.toString('utf8')) as Body;
    },
  };
}

/** Builds a form whose parts are in the given order. A value that consists of bytes becomes a file. */
export function form(...parts: [name: string, value: string | Uint8Array, filename?: string][]): FormData {
  const data = new FormData();
  for (const [name, value, filename = 'photo.jpg'] of parts) {
    if (typeof value === 'string') data.append(name, value);
    else data.append(name, new Blob([new Uint8Array(value)], { type: 'image/jpeg' }), filename);
  }
  return data;
}

/** Returns the header that sends an API key, if there is one. */
function keyHeader(key: string | undefined): Record<string, string> {
  return key === undefined ? {} : { authorization: `Bearer ${key}` };
}

/** Uploads a picture to `/v1/images`. */
export function upload(base: string, bytes: Uint8Array, tenant = 'default', query = '', key?: string) {
  const body = form(['tenant', tenant], ['file', bytes]);
  const headers = keyHeader(key);
  return call<ImageRecord>(`${base}/v1/images${query}`, { method: 'POST', body, headers });
}

/** The upload response of the catalog dialect, an older API that Vitrine also serves. */
export interface Asset {
  readonly asset_id: number;
  readonly status: 'uploaded' | 'exists';
  readonly content_hash: string;
  readonly job_id?: number;
}

/** Uploads a picture through the catalog dialect, an older API that responds before the renditions exist. */
export function uploadQueued(base: string, bytes: Uint8Array, tenant = 'default', key?: string) {
  const body = form(['file', bytes], ['tenant_name', tenant]);
  return call<Asset>(`${base}/upload/`, { method: 'POST', body, headers: keyHeader(key) });
}

/** Polls until the image is completed or failed, and returns it. */
export async function waitForFinishedImage(base: string, id: number, key?: string): Promise<ImageRecord> {
  const deadline = performance.now() + waitTimeoutMs;
  while (performance.now() < deadline) {
    const { body } = await call<ImageRecord>(`${base}/v1/images/${id}`, { headers: keyHeader(key) });
    if (body.status === 'completed' || body.status === 'failed') return body;
    await sleep(50);
  }
  throw new Error(`Image ${id} did not finish within ${waitTimeoutMs / 1_000} s.`);
}

/** Expects an RFC 9457 problem with this status and code. Returns its `detail`. */
export function expectProblem(response: ApiResponse, status: number, code: string): string {
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(response.body).toMatchObject({ status, code, type: `urn:vitrine:error:${code}` });
  expect(response.status).toBe(status);
  const detail = String(response.body['detail']);
  expect(detail).toMatch(/^.{10,}\.$/s);
  return detail;
}
