import type { SimilarityOptions } from '../model/similarity.ts';
import { fractionField, wholeNumberField } from './fields/fields.ts';
import type { HttpConfig } from './surface.ts';

/** Most results that a request may ask for. */
const maxResults = 100;

/** `limit` and `threshold` of a search; what is missing comes from the configuration. */
export const similarityFields = {
  limit: wholeNumberField(
    1,
    maxResults,
    '`MAX_SIMILAR_RESULTS` if it is missing (10 by default).',
  ).optional(),
  threshold: fractionField(
    'Least score; `SIMILARITY_THRESHOLD` if it is missing (0.7 by default).',
  ).optional(),
};

/** What a request asks for. */
export function similarityOptions(
  query: { readonly limit?: number | undefined; readonly threshold?: number | undefined },
  { maxResults, threshold }: HttpConfig['similarity'],
): SimilarityOptions {
  return { limit: query.limit ?? maxResults, threshold: query.threshold ?? threshold };
}
