import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { fitInside, isAsLargeAs } from '../../../src/imaging/geometry.ts';
import { coveringSize, groupByShape, planLayers } from '../../../src/imaging/renditions/rendition-plan.ts';
import { eagerVariants, makePreset } from '../../../src/model/preset.ts';

const side = fc.integer({ min: 1, max: 5000 });
const size = fc.record({ width: side, height: side });

test('derives each copy from the base or from an earlier copy that is at least twice as large', () => {
  fc.assert(
    fc.property(size, fc.array(size, { minLength: 1 }), (source, boxes) => {
      const sizes = boxes.map((box) => fitInside(source, box));
      const plan = planLayers(sizes, source);
      for (const wanted of sizes) expect(plan.map((layer) => layer.size)).toContainEqual(wanted);
      plan.forEach((layer, index) => {
        expect(isAsLargeAs(coveringSize(sizes, source), layer.size)).toBe(true);
        if (layer.sourceIndex === undefined) return;
        expect(layer.sourceIndex).toBeLessThan(index);
        expect(isAsLargeAs(plan[layer.sourceIndex]!.size, layer.size, 2)).toBe(true);
      });
    }),
  );
});

test('derives a small copy from an intermediate copy that is at least twice as large', () => {
  const sizes = [100, 1200, 400, 1000].map((edge) => ({ width: edge, height: edge }));
  const plan = planLayers(sizes, { width: 3000, height: 3000 });
  const sources = plan.map(({ size: { width }, sourceIndex }) => [
    width,
    sourceIndex === undefined ? 'base' : plan[sourceIndex]!.size.width,
  ]);
  expect(sources).toEqual([
    [1200, 'base'],
    [1000, 'base'],
    [400, 1000],
    [100, 400],
  ]);
});

test('never derives a copy from an enlarged copy', () => {
  const sizes = [1000, 400].map((edge) => ({ width: edge, height: edge }));
  const plan = planLayers(sizes, { width: 500, height: 500 });
  expect(plan.map(({ sourceIndex }) => sourceIndex)).toEqual([undefined, undefined]);
});

test('makes the pixels of all formats of a preset once', () => {
  const preset = makePreset({ name: 'card', width: 400, height: 400, eager: 'all' });
  const large = { preset, format: 'webp', density: 2 } as const;
  const shapes = groupByShape([...eagerVariants(preset), large]);
  expect(shapes.map(({ density, variants }) => [density, variants.map(({ format }) => format)])).toEqual([
    [1, ['jpeg', 'webp', 'avif']],
    [2, ['webp']],
  ]);
});
