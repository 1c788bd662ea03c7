import type { UrlToImport } from '../../services/ingest-urls.ts';
import { quoteValue } from '../fields/validation.ts';

/** Fields of an import line. */
export const lineFields = ['url', 'tenant', 'reference'] as const;

type Fields = Readonly<Record<string, unknown>>;

/** Converts a line for the service. With a `fault`, the service refuses this line only. */
export function toLine(line: unknown, tenantName: string, fault = faultOf(line)): UrlToImport {
  const { url, tenant, reference }: Fields = isObject(line) ? line : { url: line };
  return {
    url: asText(url) ?? '',
    tenantName: asText(tenant) ?? tenantName,
    reference: asText(reference),
    parseError: fault && printable(fault),
  };
}

/** Describes an error in the form of a line; the service checks the URL itself. */
function faultOf(line: unknown): string | undefined {
  if (!isObject(line)) return `the line must be an object, not ${quoteValue(line)}`;
  const unknown = Object.keys(line).find((key) => !lineFields.some((field) => field === key));
  if (unknown !== undefined) return `the line has an unknown field ${quoteValue(unknown)}`;
  for (const field of lineFields) {
    const value = line[field];
    if (value !== undefined && typeof value !== 'string')
      return `its ${field} is not text: ${quoteValue(value)}`;
    if (value !== undefined && printable(value) !== value)
      return `its ${field} contains control characters or text that was lost in a conversion`;
  }
  return undefined;
}

function isObject(line: unknown): line is Fields {
  return typeof line === 'object' && line !== null && !Array.isArray(line);
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? printable(value) : undefined;
}

/** Databases and logs do not handle control characters and lone surrogates well, and a refused line is stored and shown. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cs}\uFFFD]/gu, '?');
}
