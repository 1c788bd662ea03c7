import { expect, test } from 'vitest';
import { embeddingSpace } from '../../src/model/fingerprint.ts';
import { colourDimensions, scaleParts } from '../../src/model/similarity-score.ts';
import { makeRankSimilar, rankVectors, toCandidateOptions } from '../../src/services/rank-similar.ts';

/** Returns a vector with one feature in each part. */
function makeVector(colour: number, shape: number): Float32Array {
  const vector = new Float32Array(512);
  vector[colour] = 1;
  vector[colourDimensions + shape] = 1;
  return vector;
}

// The back of a green shirt leads to its front, and the front to the red shirt. The last image is unrelated.
const back = makeVector(1, 1);
const greenFront = { id: 20, vector: scaleParts(makeVector(1, 2)) };
const redFront = { id: 10, vector: scaleParts(makeVector(2, 2)) };
const lamp = { id: 5, vector: scaleParts(makeVector(8, 9)) };

test('finds indirect matches through the best direct matches', () => {
  const ranked = rankVectors(scaleParts(back), [lamp, redFront, greenFront]);
  expect(ranked.map(({ id }) => id)).toEqual([20, 10, 5]);
  expect(ranked.map(({ explanation }) => explanation?.via)).toEqual([null, 20, null]);
  const [direct, indirect, unrelated] = ranked.map(({ score }) => score);
  const [frontScore] = rankVectors(greenFront.vector, [redFront]).map(({ score }) => score);
  expect(indirect).toBeCloseTo(direct! * frontScore!, 6);
  expect(unrelated).toBeLessThan(0.05);
  expect(ranked[1]?.explanation?.parts.colour).toBeLessThan(0.01);
});

test('does not call the copies of a match indirect matches', () => {
  const copies = [21, 22, 23].map((id) => ({ id, vector: greenFront.vector }));
  const ranked = rankVectors(scaleParts(back), [greenFront, ...copies]);
  expect(ranked.map(({ explanation }) => explanation?.via)).toEqual([null, null, null, null]);
  expect(new Set(ranked.map(({ score }) => score)).size).toBe(1);
});

test('ranks images with equal scores by id, and scores a pair of images equally in both directions', () => {
  const twin = { id: 4, vector: lamp.vector };
  expect(rankVectors(lamp.vector, [redFront, lamp, twin]).map(({ id }) => id)).toEqual([4, 5, 10]);
  const [forth] = rankVectors(greenFront.vector, [redFront]);
  const [return_] = rankVectors(redFront.vector, [greenFront]);
  expect(forth?.score).toBe(return_?.score);
});

test('applies threshold and limit to the final score', async () => {
  const vectors = new Map([
    [1, back],
    [10, makeVector(2, 2)],
    [20, makeVector(1, 2)],
    [5, makeVector(8, 9)],
  ]);
  const rankSimilar = makeRankSimilar({
    candidateVectors: {
      list: (_tenantId, _space, ids) =>
        Promise.resolve(new Map([...vectors].filter(([id]) => ids.includes(id)))),
    },
  });
  const candidates = [5, 10, 20, 99].map((id) => ({ id, score: 0.5 }));
  const request = { tenantId: 1, space: embeddingSpace, query: 1, candidates };
  const rank = async (limit: number, threshold: number) =>
    (await rankSimilar(request, { limit, threshold })).map(({ id }) => id);
  expect(await rank(10, 0)).toEqual([20, 10, 5]);
  expect(await rank(10, 0.5)).toEqual([20, 10]);
  expect(await rank(1, 0)).toEqual([20]);
  expect(await rankSimilar({ ...request, query: 77 }, { limit: 9, threshold: 0 })).toEqual([]);
  const picture = { ...request, query: [...back] };
  expect((await rankSimilar(picture, { limit: 9, threshold: 0.5 })).map(({ id }) => id)).toEqual([20, 10]);
});

test('leaves the scores of another space as they are', async () => {
  const rankSimilar = makeRankSimilar({
    candidateVectors: { list: () => Promise.reject(new Error('not needed')) },
  });
  const candidates = [{ id: 1, score: 0.8 }];
  const options = { limit: 10, threshold: 0.7 };
  const request = { tenantId: 1, space: 'onnx-0123', query: 2, candidates };
  expect(await rankSimilar(request, options)).toEqual([{ id: 1, score: 0.8, explanation: null }]);
  expect(toCandidateOptions('onnx-0123', options)).toEqual(options);
  expect(toCandidateOptions(embeddingSpace, options)).toEqual({ limit: 200, threshold: 0 });
});
