import { expect, test } from 'vitest';
import { assertKey, originalKey, parseKey, renditionKey } from '../../src/storage/keys.ts';

const hash = 'ab12'.repeat(16);

test('derives keys from the tenant and the content, and parses the keys', () => {
  for (const key of [originalKey(42, hash), renditionKey(42, hash, 'thumb', '0123456789')]) {
    expect(() => assertKey(key)).not.toThrow();
    expect(parseKey(key)).toEqual({ key, tenantId: 42, contentHash: hash });
  }
});

test('derives different keys for different tenants, presets and recipes', () => {
  const keys = [
    originalKey(1, hash),
    originalKey(2, hash),
    renditionKey(1, hash, 'thumb', '0123456789'),
    renditionKey(1, hash, 'card', '0123456789'),
    renditionKey(1, hash, 'thumb', '9876543210'),
  ];
  expect(new Set(keys).size).toBe(keys.length);
});

test('parses the key of a file left behind by an interrupted replacement', () => {
  const key = `${originalKey(42, hash)}.0197b2a0-0000-4000-8000-000000000000`;
  expect(parseKey(key)).toEqual({ key, tenantId: 42, contentHash: hash });
});

test.each([
  'notes.txt',
  `originals/42/ab/${hash}x`,
  `originals/x/ab/${hash}`,
  `backup/originals/42/ab/${hash}`,
])('does not parse the name of an unrelated file: %s', (key) => expect(parseKey(key)).toBeUndefined());
