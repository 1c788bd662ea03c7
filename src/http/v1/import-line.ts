import type { UrlToImport } from '../../services/ingest-urls.ts';
import { quoteValue } from '../fields/validation.ts';

/** Fields of an import line. */
export const lineFields = ['url', 'tenant', 'reference'] as const;

type Fields = Readonly<Record<string, unknown>>;

/** Converts an import line to the input of the import service, which rejects a line that has a problem. */
export function toImportLine(
  line: unknown,
  tenantName: string | undefined,
  problem = findProblem(line),
): UrlToImport {
  const { url, tenant, reference }: Fields = isObject(line) ? line : { url: line };
  return {
    url: asText(url) ?? '',
    tenantName: asText(tenant) ?? tenantName,
    reference: asText(reference),
    parseError: problem && toPrintable(problem),
  };
}

/** Returns what is wrong with the fields of a line, if anything. The import service validates the URL later. */
function findProblem(line: unknown): string | undefined {
  if (!isObject(line)) return `the line must be an object, not ${quoteValue(line)}`;
  const unknownField = Object.keys(line).find((key) => !lineFields.some((field) => field === key));
  if (unknownField !== undefined) return `the line has an unknown field ${quoteValue(unknownField)}`;
  for (const field of lineFields) {
    const value = line[field];
    if (value !== undefined && typeof value !== 'string')
      return `its ${field} must be text, not ${quoteValue(value)}`;
    if (value !== undefined && toPrintable(value) !== value)
      return `its ${field} contains control characters, or text was lost in a conversion`;
  }
  return undefined;
}

function isObject(line: unknown): line is Fields {
  return typeof line === 'object' && line !== null && !Array.isArray(line);
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? toPrintable(value) : undefined;
}

/**
 * Replaces control characters, lone surrogates and U+FFFD. Rejected lines are also stored and logged, where some of
 * these characters would cause problems.
 */
function toPrintable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cs}\uFFFD]/gu, '?');
}
