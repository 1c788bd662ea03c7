import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { fitInside } from '../../src/imaging/geometry.ts';

const side = fc.integer({ min: 1, max: 16_383 });
const size = fc.record({ width: side, height: side });

test('returns a size that fits into the box and is not larger than the source', () => {
  fc.assert(
    fc.property(size, size, (source, box) => {
      const fittedSize = fitInside(source, box);
      expect(fittedSize.width).toBeLessThanOrEqual(Math.min(source.width, box.width));
      expect(fittedSize.height).toBeLessThanOrEqual(Math.min(source.height, box.height));
      expect(Math.min(fittedSize.width, fittedSize.height)).toBeGreaterThanOrEqual(1);
    }),
  );
});

test('preserves the proportions to within one pixel', () => {
  fc.assert(
    fc.property(size, size, (source, box) => {
      const scale = Math.min(1, box.width / source.width, box.height / source.height);
      const fittedSize = fitInside(source, box);
      expect(Math.abs(fittedSize.width - source.width * scale)).toBeLessThanOrEqual(1);
      expect(Math.abs(fittedSize.height - source.height * scale)).toBeLessThanOrEqual(1);
    }),
  );
});

test('if one box results in a greater width than another box, it does not result in a smaller height', () => {
  fc.assert(
    fc.property(size, size, size, (source, firstBox, secondBox) => {
      const [a, b] = [fitInside(source, firstBox), fitInside(source, secondBox)];
      expect((a.width - b.width) * (a.height - b.height)).toBeGreaterThanOrEqual(0);
    }),
  );
});

test.each([
  [
    { width: 1274, height: 1580 },
    { width: 1200, height: 1200 },
    { width: 968, height: 1200 },
  ],
  [
    { width: 80, height: 60 },
    { width: 100, height: 100 },
    { width: 80, height: 60 },
  ],
  [
    { width: 10_000, height: 1 },
    { width: 100, height: 100 },
    { width: 100, height: 1 },
  ],
])('fits the source %o into the box %o with the size %o', (source, box, expected) => {
  expect(fitInside(source, box)).toEqual(expected);
});
