import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { isAsLargeAs } from '../../../src/imaging/geometry.ts';
import { planRenditions } from '../../../src/imaging/renditions/rendition-plan.ts';
import { makePreset } from '../../../src/model/preset.ts';

const side = fc.integer({ min: 1, max: 5000 });
const preset = fc
  .record({ name: fc.string(), width: side, height: side })
  .map((options) => makePreset(options));

test('derives each rendition from an earlier rendition that is not smaller', () => {
  fc.assert(
    fc.property(fc.record({ width: side, height: side }), fc.array(preset), (source, presets) => {
      const plan = planRenditions(source, presets);
      expect(plan).toHaveLength(presets.length);
      plan.forEach(({ size, sourceIndex }, index) => {
        expect(sourceIndex).toBeLessThanOrEqual(Math.max(0, index - 1));
        expect(isAsLargeAs(plan[sourceIndex]!.size, size)).toBe(true);
      });
    }),
  );
});

test('derives a small rendition from an intermediate rendition that is at least twice as large', () => {
  const boxes = [100, 1200, 400, 1000].map((edge) =>
    makePreset({ name: `${edge}`, width: edge, height: edge }),
  );
  const plan = planRenditions({ width: 3000, height: 3000 }, boxes);
  expect(
    plan.map(({ preset, sourceIndex }) => `${preset.name} from ${plan[sourceIndex]!.preset.name}`),
  ).toEqual(['1200 from 1200', '1000 from 1200', '400 from 1000', '100 from 400']);
});
