import type { CandidateVectorQueries } from '../db/images/candidate-vectors.ts';
import type { SimilarityMatch } from '../db/images/similarity-search.ts';
import { embeddingSpace } from '../model/fingerprint.ts';
import type { ScoreExplanation, SimilarityOptions } from '../model/similarity.ts';
import {
  compareParts,
  type ScaledVector,
  scaleParts,
  type SimilarityParts,
  toScore,
} from '../model/similarity-score.ts';

/** A similar image with its final score. */
export interface RankedMatch extends SimilarityMatch {
  /** `null` if the embedding has no parts. */
  readonly explanation: ScoreExplanation | null;
}

/** Number of candidates that a search ranks. Their order in the index is only approximate. */
const candidateCount = 200;

/**
 * An indirect match must score higher than the direct one by this factor. Otherwise, every copy of an image would count as an
 * indirect match through another copy.
 */
const minGain = 1.1;

/** Number of direct matches through which a search finds indirect matches. More of them add nothing. */
const bridgeCount = 3;

interface Dependencies {
  readonly candidateVectors: CandidateVectorQueries;
}

/** A search whose candidates are to be ranked. */
export interface RankingRequest {
  readonly tenantId: number;
  readonly space: string;
  /** The vector that is searched for, or the id of the image that has it. */
  readonly query: readonly number[] | number;
  readonly candidates: readonly SimilarityMatch[];
}

/**
 * Returns the options with which to search for candidates. Unless a metric was chosen, the built-in embedding is searched by the
 * cosine of whole vectors, and the best candidates are then ranked by their parts. Otherwise, the search itself ranks them.
 */
export function toCandidateOptions(space: string, options: SimilarityOptions): SimilarityOptions {
  return isRankedByParts(space, options) ? { ...options, limit: candidateCount, threshold: 0 } : options;
}

function isRankedByParts(space: string, { metric }: SimilarityOptions): boolean {
  return space === embeddingSpace && metric === undefined;
}

/** Ranks the candidates of a search, best match first, and applies the threshold and the limit. */
export type RankSimilar = (
  request: RankingRequest,
  options: SimilarityOptions,
) => Promise<readonly RankedMatch[]>;

/** @see RankSimilar */
export function makeRankSimilar({ candidateVectors }: Dependencies): RankSimilar {
  return async ({ tenantId, space, query, candidates }, options) => {
    if (candidates.length === 0) return [];
    if (!isRankedByParts(space, options)) return candidates.map((match) => ({ ...match, explanation: null }));
    const ids = candidates.map(({ id }) => id);
    const vectors = await candidateVectors.list(
      tenantId,
      space,
      typeof query === 'number' ? [query, ...ids] : ids,
    );
    const queryVector = typeof query === 'number' ? vectors.get(query) : Float32Array.from(query);
    // The image may have been purged since the candidates were found.
    if (!queryVector) return [];
    const candidateIds = new Set(ids);
    const scaledVectors = [...vectors].flatMap(([id, vector]) =>
      candidateIds.has(id) ? [{ id, vector: scaleParts(vector) }] : [],
    );
    return rankVectors(scaleParts(queryVector), scaledVectors)
      .filter(({ score }) => score >= options.threshold)
      .slice(0, options.limit);
  };
}

interface Candidate {
  readonly id: number;
  readonly vector: ScaledVector;
}

interface ScoredCandidate extends Candidate {
  readonly parts: SimilarityParts;
  readonly score: number;
}

/**
 * Scores candidates directly and indirectly, and returns them best match first. An indirect match resembles one of the
 * best direct matches: a shirt photographed from behind leads to its front, and the front to the other colours of the
 * shirt. Its score is the product of both scores, so it is always below that of the image that led to it.
 */
export function rankVectors(query: ScaledVector, candidates: readonly Candidate[]): readonly RankedMatch[] {
  const scored = candidates
    .map((candidate): ScoredCandidate => {
      const parts = compareParts(query, candidate.vector);
      return { ...candidate, parts, score: toScore(parts) };
    })
    .sort(compareMatches);
  const bridges = scored.slice(0, bridgeCount);
  return scored.map((candidate) => followBridges(candidate, bridges)).sort(compareMatches);
}

/** Replaces the score of a candidate by its best indirect score, if that is higher. */
function followBridges(candidate: ScoredCandidate, bridges: readonly ScoredCandidate[]): RankedMatch {
  const { id, vector, parts } = candidate;
  let { score } = candidate;
  let via: number | null = null;
  for (const bridge of bridges) {
    if (bridge.score <= score || bridge.id === id) continue;
    const indirectScore = bridge.score * toScore(compareParts(bridge.vector, vector));
    if (indirectScore <= Math.max(score, minGain * candidate.score)) continue;
    score = indirectScore;
    via = bridge.id;
  }
  return { id, score, explanation: { parts, via } };
}

function compareMatches(a: SimilarityMatch, b: SimilarityMatch): number {
  return b.score - a.score || a.id - b.id;
}
