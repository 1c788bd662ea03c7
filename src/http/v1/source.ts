import { type Principal, seesSourceQueries } from '../../model/principal.ts';
import { redactQueries, redactSecrets } from '../../model/redact-url.ts';

/** Describes in the API documentation what `showSource` hides. */
export const sourceDescription =
  'Secrets such as signatures are replaced with `[hidden]`; for callers that are not bound to the tenant of the image, also the whole query.';

/** Returns text with the source URL of an import, such as the URL or an error message, as the caller may see it. */
export function showSource(textWithSource: string, viewer: Pick<Principal, 'tenantId' | 'subject'>): string {
  return seesSourceQueries(viewer) ? redactSecrets(textWithSource) : redactQueries(textWithSource);
}
