import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Size } from '../../../src/imaging/geometry.ts';
import { composeVariant, maxVariantSize, variantSize } from '../../../src/imaging/renditions/composition.ts';
import { makePreset, type PresetOptions, type Variant } from '../../../src/model/preset.ts';

type Options = Partial<Omit<PresetOptions, 'name'>>;

function variantOf(width: number, height: number, options: Options = {}, density = 1): Variant {
  return { preset: makePreset({ name: 'tested', width, height, ...options }), format: 'jpeg', density };
}

const trimWithMargin = (margin: number) => ({ tolerance: 10, margin });
const size = (width: number, height: number): Size => ({ width, height });

const side = fc.integer({ min: 1, max: 16_383 });
const content = fc.record({ width: side, height: side });
const variant = fc
  .record({
    width: fc.integer({ min: 1, max: 4095 }),
    height: fc.integer({ min: 1, max: 4095 }),
    fit: fc.constantFrom('inside', 'cover', 'pad'),
    margin: fc.constantFrom(undefined, 0, 5, 12.5, 45),
    enlarge: fc.boolean(),
    density: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ width, height, fit, margin, enlarge, density }) => {
    const trim = margin === undefined ? null : trimWithMargin(fit === 'cover' ? 0 : margin);
    return variantOf(width, height, { fit, enlarge, trim }, density);
  });

test('places the content inside the rendition, and the rendition inside the box', () => {
  fc.assert(
    fc.property(content, variant, (source, asked) => {
      const { scaled, kept, placed, left, top, output } = composeVariant(source, asked);
      const box = maxVariantSize(asked);
      for (const axis of ['width', 'height'] as const) {
        expect(Number.isInteger(output[axis])).toBe(true);
        expect(output[axis]).toBeLessThanOrEqual(box[axis]);
        expect(kept[axis]).toBeLessThanOrEqual(scaled[axis]);
        expect(Math.min(kept[axis], placed[axis])).toBeGreaterThanOrEqual(1);
      }
      expect(Math.min(left, top)).toBeGreaterThanOrEqual(0);
      expect(left + placed.width).toBeLessThanOrEqual(output.width);
      expect(top + placed.height).toBeLessThanOrEqual(output.height);
    }),
  );
});

test('scales the content in proportion to within one pixel, and never enlarges it unasked', () => {
  fc.assert(
    fc.property(content, variant, (source, asked) => {
      const { scaled, kept, placed } = composeVariant(source, asked);
      const [x, y] = [scaled.width / source.width, scaled.height / source.height];
      expect(Math.abs(scaled.width - source.width * y)).toBeLessThanOrEqual(source.width / source.height + 1);
      expect(Math.abs(scaled.height - source.height * x)).toBeLessThanOrEqual(
        source.height / source.width + 1,
      );
      if (asked.preset.enlarge) return;
      expect(scaled.width).toBeLessThanOrEqual(source.width);
      expect(scaled.height).toBeLessThanOrEqual(source.height);
      expect(placed).toEqual(kept);
    }),
  );
});

test('keeps padding around the content even to within one pixel', () => {
  fc.assert(
    fc.property(content, variant, (source, asked) => {
      const { placed, left, top, output } = composeVariant(source, asked);
      if (asked.preset.fit === 'cover') expect(placed).toEqual(output);
      expect(Math.abs(output.width - placed.width - 2 * left)).toBeLessThanOrEqual(1);
      expect(Math.abs(output.height - placed.height - 2 * top)).toBeLessThanOrEqual(1);
    }),
  );
});

test('never yields a smaller file at a higher density', () => {
  fc.assert(
    fc.property(content, variant, (source, asked) => {
      const { output } = composeVariant(source, asked);
      const { output: denser } = composeVariant(source, { ...asked, density: asked.density + 1 });
      expect(denser.width).toBeGreaterThanOrEqual(output.width);
      expect(denser.height).toBeGreaterThanOrEqual(output.height);
    }),
  );
});

test('never needs more memory for scaling than the content or the box', () => {
  fc.assert(
    fc.property(content, variant, (source, asked) => {
      const { scaled } = composeVariant(source, asked);
      const box = maxVariantSize(asked);
      const area = ({ width, height }: Size) => width * height;
      expect(area(scaled)).toBeLessThanOrEqual(Math.max(area(source), area(box)));
    }),
  );
});

describe.each<[string, Options, Array<[Size, number, Size, Size]>]>([
  // Each row: content, density, size of the scaled content that is kept, size of the file.
  [
    'inside',
    { fit: 'inside' },
    [
      [size(3000, 2000), 1, size(500, 333), size(500, 333)],
      [size(3000, 2000), 2, size(1000, 667), size(1000, 667)],
      [size(600, 400), 2, size(600, 400), size(600, 400)],
      [size(60, 41), 1, size(60, 41), size(60, 41)],
      [size(1, 2000), 1, size(1, 400), size(1, 400)],
    ],
  ],
  [
    'inside, enlarged',
    { fit: 'inside', enlarge: true },
    [
      [size(60, 40), 1, size(500, 333), size(500, 333)],
      [size(60, 40), 2, size(1000, 667), size(1000, 667)],
    ],
  ],
  [
    'inside, trimmed with a margin',
    { fit: 'inside', trim: trimWithMargin(5) },
    [
      [size(900, 300), 1, size(450, 150), size(500, 190)],
      [size(900, 300), 2, size(900, 300), size(1000, 380)],
      [size(60, 40), 1, size(60, 40), size(110, 80)],
    ],
  ],
  [
    'pad',
    { fit: 'pad' },
    [
      [size(3000, 2000), 1, size(500, 333), size(500, 400)],
      [size(3000, 2000), 2, size(1000, 667), size(1000, 800)],
      [size(750, 500), 2, size(750, 500), size(750, 600)],
      [size(60, 40), 1, size(60, 40), size(500, 400)],
      [size(60, 40), 3, size(60, 40), size(500, 400)],
      [size(16_383, 1), 1, size(500, 1), size(500, 400)],
    ],
  ],
  [
    'pad, enlarged',
    { fit: 'pad', enlarge: true },
    [
      [size(60, 40), 1, size(500, 333), size(500, 400)],
      [size(60, 40), 2, size(1000, 667), size(1000, 800)],
    ],
  ],
  [
    'pad, trimmed with a margin',
    { fit: 'pad', trim: trimWithMargin(10) },
    [
      [size(1600, 640), 1, size(400, 160), size(500, 400)],
      [size(800, 320), 3, size(800, 320), size(1000, 800)],
      [size(100, 100), 2, size(100, 100), size(500, 400)],
    ],
  ],
  [
    'cover',
    { fit: 'cover' },
    [
      [size(3000, 2000), 1, size(500, 400), size(500, 400)],
      [size(3000, 2000), 2, size(1000, 800), size(1000, 800)],
      [size(750, 2000), 2, size(750, 600), size(750, 600)],
      [size(250, 2000), 1, size(250, 200), size(250, 200)],
      [size(1, 2000), 1, size(1, 1), size(1, 1)],
    ],
  ],
  [
    'cover, enlarged',
    { fit: 'cover', enlarge: true },
    [
      [size(250, 2000), 1, size(250, 200), size(500, 400)],
      [size(16_383, 1), 1, size(1, 1), size(500, 400)],
    ],
  ],
])('%s, in a box of 500 × 400', (_, options, rows) => {
  test.each(rows)('content %o at density %i', (source, density, kept, output) => {
    const composition = composeVariant(source, variantOf(500, 400, options, density));
    expect(composition).toMatchObject({ kept, output });
  });
});

test('knows the size of a file in advance unless the picture is trimmed', () => {
  expect(variantSize(size(3000, 2000), variantOf(500, 400, { fit: 'pad' }, 2))).toEqual(size(1000, 800));
  expect(variantSize(size(3000, 2000), variantOf(500, 400, { trim: trimWithMargin(0) }))).toBeUndefined();
});
