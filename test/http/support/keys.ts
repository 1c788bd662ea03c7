import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { call, form, type ImageRecord } from '../../support/process/client.ts';

/** A key with all scopes, for the setting `BOOTSTRAP_ADMIN_KEY` of a test server. */
export const operatorKey = randomBytes(32).toString('hex');

/** Settings of a server that needs keys. */
export const keySettings = {
  AUTH: 'keys',
  SECRET_KEY: randomBytes(32).toString('hex'),
  BOOTSTRAP_ADMIN_KEY: operatorKey,
};

/** Returns the header that sends a key. */
export const withKey = (key: string) => ({ authorization: `Bearer ${key}` });

/** Creates a key. */
export async function createKey(base: string, key: Record<string, unknown>): Promise<string> {
  const { status, body } = await sendJson<{ key: string }>(base, 'POST', '/v1/keys', {
    name: 'test',
    ...key,
  });
  expect(status).toBe(201);
  return body.key;
}

/** Sends a JSON body with a key. */
export function sendJson<Body = Record<string, unknown>>(
  base: string,
  method: string,
  path: string,
  body: unknown,
  key = operatorKey,
) {
  const headers = { ...withKey(key), 'content-type': 'application/json' };
  return call<Body>(`${base}${path}`, { method, headers, body: JSON.stringify(body) });
}

/** Uploads a picture with a key. */
export function uploadWithKey(base: string, key: string, bytes: Uint8Array, tenant?: string) {
  const tenantPart: [string, string][] = tenant === undefined ? [] : [['tenant', tenant]];
  const body = form(...tenantPart, ['file', bytes]);
  return call<ImageRecord>(`${base}/v1/images`, { method: 'POST', headers: withKey(key), body });
}
