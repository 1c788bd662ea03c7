import { expect, test } from 'vitest';
import { equivalentQuality } from '../../src/model/encoder-quality.ts';

test.each(['webp', 'avif'] as const)('%s has a higher quality for each higher quality of JPEG', (format) => {
  expect(equivalentQuality(1, format)).toBe(1);
  expect(equivalentQuality(100, format)).toBe(100);
  for (let quality = 2; quality <= 100; quality++)
    expect(equivalentQuality(quality, format)).toBeGreaterThanOrEqual(equivalentQuality(quality - 1, format));
});

test('JPEG and PNG keep the number', () => {
  expect([equivalentQuality(42, 'jpeg'), equivalentQuality(42, 'png')]).toEqual([42, 42]);
});

test('interpolates between measured points', () => {
  expect(equivalentQuality(85, 'avif')).toBe(69);
  expect(equivalentQuality(55, 'webp')).toBe(52);
});
