import { describe, expect, test } from 'vitest';
import {
  colourDimensions,
  compareParts,
  partWeights,
  scaleParts,
  toScore,
} from '../../src/model/similarity-score.ts';

/** Returns a vector whose parts have one feature each, at an index from 0 to 255. */
function makeVector(colour: number, shape: number, scale = 1): Float32Array {
  const vector = new Float32Array(512);
  vector[colour] = Math.sqrt(partWeights.colour) * scale;
  vector[colourDimensions + shape] = Math.sqrt(partWeights.shape) * scale;
  return vector;
}

function compare(a: Float32Array, b: Float32Array) {
  return compareParts(scaleParts(a), scaleParts(b));
}

test('scores 1 for equal vectors of any scale, and nearly 0 if nothing matches', () => {
  expect(toScore(compare(makeVector(3, 7), makeVector(3, 7, 2_048)))).toBeCloseTo(1, 6);
  expect(toScore(compare(makeVector(3, 7), makeVector(4, 8)))).toBeLessThan(0.05);
});

test('compares the parts separately', () => {
  const sameColour = compare(makeVector(3, 7), makeVector(3, 8));
  expect(sameColour.colour).toBeCloseTo(1, 6);
  expect(sameColour.shape).toBeLessThan(0.01);
  const sameShape = compare(makeVector(3, 7), makeVector(4, 7));
  expect(sameShape.colour).toBeLessThan(0.01);
  expect(sameShape.shape).toBeCloseTo(1, 6);
});

test('either part alone is enough for a high score, and shape counts more than colour', () => {
  const colourScore = toScore({ colour: 1, shape: 0 });
  const shapeScore = toScore({ colour: 0, shape: 1 });
  expect(colourScore).toBeGreaterThan(0.7);
  expect(shapeScore).toBeGreaterThan(colourScore);
  expect(shapeScore).toBeLessThan(1);
});

describe('scores rise with either part', () => {
  const values = [0, 0.2, 0.4, 0.6, 0.8, 1];
  test.each(values)('other part %f', (other) => {
    const byColour = values.map((colour) => toScore({ colour, shape: other }));
    const byShape = values.map((shape) => toScore({ colour: other, shape }));
    expect(byColour).toEqual(byColour.toSorted((a, b) => a - b));
    expect(byShape).toEqual(byShape.toSorted((a, b) => a - b));
    expect(Math.min(...byColour, ...byShape)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...byColour, ...byShape)).toBeLessThanOrEqual(1);
  });
});

test('a part without features matches nothing', () => {
  const shapeless = makeVector(3, 7).fill(0, colourDimensions);
  expect(compare(shapeless, makeVector(3, 7)).shape).toBeLessThan(0.01);
  expect(compare(shapeless, shapeless)).toMatchObject({ colour: expect.closeTo(1, 6) as number });
});
