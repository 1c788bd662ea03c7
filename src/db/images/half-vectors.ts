import { type RawBuilder, sql } from 'kysely';
import type { SimilarityMetric } from '../../model/similarity.ts';

/**
 * Stored vectors have this length. Half-precision floats represent integers up to it exactly, and PostgreSQL parses integers
 * faster than fractions.
 */
const storedLength = 2_048;

/** Formats a vector of unit length for the database. */
export function formatHalfVector(vector: readonly number[]): string {
  return `[${vector.map((value) => Math.round(value * storedLength)).join(',')}]`;
}

/** SQL expression for the score of `stored`, a stored vector, and `asked`. A zero vector (no features) has no direction. */
export function selectScore(
  metric: SimilarityMetric | undefined,
  stored: RawBuilder<unknown>,
  asked: RawBuilder<unknown>,
): RawBuilder<number> {
  if (metric === 'ip') return sql`-(${stored} <#> ${asked}) / ${sql.lit(storedLength ** 2)}`;
  if (metric === 'l2') return sql`1 / (1 + (${stored} <-> ${asked}) / ${sql.lit(storedLength)})`;
  return sql`greatest(0, least(1, 1 - coalesce(nullif(${stored} <=> ${asked}, 'NaN'), 1)))`;
}
