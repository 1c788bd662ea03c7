import { crc32 } from 'node:zlib';

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Completes a key with the checksum of its text, as anyone can who has read the format. */
export function forgeKey(id: string, secret: string): string {
  const body = `vitrine_${id}_${secret}`;
  let checksum = '';
  for (let rest = crc32(body); rest > 0; rest = Math.floor(rest / 62))
    checksum = digits.charAt(rest % 62) + checksum;
  return body + checksum.padStart(6, '0');
}

/** Splits a key into its id and its secret. */
export function splitKey(key: string): { readonly id: string; readonly secret: string } {
  const [, id = '', secret = ''] = /^vitrine_([0-9a-f]{16})_(.{43})/.exec(key) ?? [];
  return { id, secret };
}
