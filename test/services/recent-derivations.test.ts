import { expect, test } from 'vitest';
import { makeRecentDerivations } from '../../src/services/recent-derivations.ts';

const vase = '0'.repeat(64);
const nearVase = `3${'0'.repeat(63)}`;
const shoe = 'f'.repeat(64);

/** Returns a picture with one hash of the frame `full`. */
function picture(contentHash: string, hash: string, tenantId = 1) {
  return {
    tenantId,
    contentHash,
    fingerprint: { frameHashes: [{ frame: 'full' as const, hash }], probes: [] },
  };
}

test('a search may have missed only near pictures of the tenant that were added later', () => {
  const recent = makeRecentDerivations(23, true);
  recent.add(picture('before', nearVase));
  const searchedAt = recent.count();
  const searched = picture('vase', vase);
  expect(recent.mayHaveMissed(searched, searchedAt)).toBe(false);
  recent.add(picture('shoe', shoe));
  recent.add(picture('other tenant', nearVase, 2));
  recent.add(searched);
  expect(recent.mayHaveMissed(searched, searchedAt)).toBe(false);
  recent.add(picture('later', nearVase));
  expect(recent.mayHaveMissed(searched, searchedAt)).toBe(true);
});

test('a search may have missed pictures that are not remembered any more, or that another process derives', () => {
  const recent = makeRecentDerivations(23, true);
  const searchedAt = recent.count();
  for (let index = 0; index < 100; index++) recent.add(picture(`shoe ${index}`, shoe));
  expect(recent.mayHaveMissed(picture('vase', vase), searchedAt)).toBe(true);
  expect(makeRecentDerivations(23, false).mayHaveMissed(picture('vase', vase), 0)).toBe(true);
});
