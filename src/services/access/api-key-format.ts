import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

/**
 * Format of an API key: a prefix that secret scanners recognise, the key's public id, 32 random bytes, and a checksum that
 * tells a mistyped or truncated key from an unknown one without a database query. Letters and digits only, so that a
 * double click selects the whole key.
 */
const prefix = 'vitrine';
const idBytes = 8;
const secretBytes = 32;
const secretLength = 43;
const checksumLength = 6;
const pattern = new RegExp(
  `^(${prefix}_([0-9a-f]{${2 * idBytes}})_[0-9A-Za-z]{${secretLength}})([0-9A-Za-z]{${checksumLength}})$`,
);

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** A new API key. `text` is shown once; `id` is public. */
export interface NewApiKey {
  readonly id: string;
  readonly text: string;
}

/** Generates a key. */
export function generateApiKey(): NewApiKey {
  const id = randomBytes(idBytes).toString('hex');
  const secret = toBase62(BigInt(`0x${randomBytes(secretBytes).toString('hex')}`), secretLength);
  const body = `${prefix}_${id}_${secret}`;
  return { id, text: `${body}${checksum(body)}` };
}

/** Returns the public id in a key, or `undefined` if the text is not a key or its checksum is wrong. */
export function parseApiKey(text: string): string | undefined {
  const [, body, id, sum] = pattern.exec(text) ?? [];
  return body !== undefined && checksum(body) === sum ? id : undefined;
}

function checksum(body: string): string {
  return toBase62(BigInt(crc32(body)), checksumLength);
}

function toBase62(value: bigint, length: number): string {
  let text = '';
  for (let rest = value; rest > 0n; rest /= 62n) text = digits.charAt(Number(rest % 62n)) + text;
  return text.padStart(length, '0');
}
