import { expect, test } from 'vitest';
import { makeSecretRing } from '../../../src/services/access/secret-ring.ts';

const [oldSecret, newSecret] = ['o'.repeat(32), 'n'.repeat(32)];

test('verifies what the newest secret sealed', () => {
  const ring = makeSecretRing([newSecret]);
  const seal = ring.seal('api-key', 'text');
  expect(ring.verify('api-key', 'text', seal)).toBe(true);
  expect(ring.verify('api-key', 'other text', seal)).toBe(false);
  expect(ring.verify('link', 'text', seal)).toBe(false);
  expect(ring.verify('api-key', 'text', { ...seal, code: seal.code.subarray(1) })).toBe(false);
});

test('verifies what an older secret sealed, until that secret is removed', () => {
  const seal = makeSecretRing([oldSecret]).seal('link', 'text');
  const rotated = makeSecretRing([newSecret, oldSecret]);
  expect(rotated.verify('link', 'text', seal)).toBe(true);
  expect(rotated.seal('link', 'text').secretId).not.toBe(seal.secretId);
  expect(makeSecretRing([newSecret]).verify('link', 'text', seal)).toBe(false);
});

test('decrypts what it encrypted, and nothing that was changed', () => {
  const ring = makeSecretRing([newSecret]);
  const { secretId, response } = ring.encrypt('größer');
  expect(ring.decrypt(secretId, response)).toBe('größer');
  for (const index of [0, 12, response.length - 1]) {
    const changed = Buffer.from(response);
    changed[index] = (changed[index] ?? 0) ^ 1;
    expect(ring.decrypt(secretId, changed)).toBeUndefined();
  }
  expect(ring.decrypt(secretId, response.subarray(0, 20))).toBeUndefined();
  expect(makeSecretRing([oldSecret]).decrypt(secretId, response)).toBeUndefined();
});

test('does not reveal a secret in its id', () => {
  expect(makeSecretRing([newSecret]).newestId).toMatch(/^[0-9a-f]{8}$/);
});
