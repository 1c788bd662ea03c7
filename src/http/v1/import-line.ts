import type { UrlToImport } from '../../services/ingest-urls.ts';
import { showValue } from '../validation-sentences.ts';

/** What a line of an import may have. */
export const lineFields = ['url', 'tenant', 'reference'] as const;

type Fields = Readonly<Record<string, unknown>>;

/** A line as the service takes it, with what is wrong with it: the service refuses it then, and goes on with the others. */
export function toLine(line: unknown, tenantName: string, fault = faultOf(line)): UrlToImport {
  const { url, tenant, reference }: Fields = isObject(line) ? line : { url: line };
  return {
    url: asText(url) ?? '',
    tenantName: asText(tenant) ?? tenantName,
    reference: asText(reference),
    fault: fault && printable(fault),
  };
}

/** What no line could be, whatever its URL. */
function faultOf(line: unknown): string | undefined {
  if (!isObject(line)) return `the line must be an object, not ${showValue(line)}`;
  const unknown = Object.keys(line).find((key) => !lineFields.some((field) => field === key));
  if (unknown !== undefined) return `the line has an unknown field ${showValue(unknown)}`;
  for (const field of lineFields) {
    const value = line[field];
    if (value !== undefined && typeof value !== 'string')
      return `its ${field} is no text: ${showValue(value)}`;
    if (value !== undefined && printable(value) !== value)
      return `its ${field} has control characters or text that was lost in a conversion`;
  }
  return undefined;
}

function isObject(line: unknown): line is Fields {
  return typeof line === 'object' && line !== null && !Array.isArray(line);
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? printable(value) : undefined;
}

/**
 * Databases and logs do not handle control characters and lone surrogates well; a refused line is shown without them.
 */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cs}\uFFFD]/gu, '?');
}
