import { AppError } from '../errors.ts';
import type { AddressRules } from './address-rules.ts';
import { type ExchangeOptions, type ResponseHead, sendRequest, type SourceResponse } from './exchange.ts';
import { type ImportUrl, parseImportUrl } from './import-url.ts';

const redirectStatuses = new Set([301, 302, 303, 307, 308]);

/** The first response that is not a redirect, and its URL. */
interface FinalResponse {
  readonly url: ImportUrl;
  readonly response: SourceResponse;
}

/**
 * Requests `initialUrl` and follows redirects. Each target is checked in the same way as the initial URL.
 * @throws {AppError} the errors of {@link sendRequest}; `source_refused` for a redirect that cannot be followed.
 */
export async function requestWithRedirects(
  initialUrl: ImportUrl,
  options: ExchangeOptions & { readonly maxRedirects: number },
  signal: AbortSignal,
): Promise<FinalResponse> {
  let url = initialUrl;
  for (let redirectCount = 0; ; redirectCount += 1) {
    const response = await sendRequest(url.href, options, signal);
    if (!redirectStatuses.has(response.head.status)) return { url, response };
    await response.close();
    if (redirectCount === options.maxRedirects) throw tooManyRedirects(options.maxRedirects);
    url = redirectTarget(url.href, response.head, options.rules);
  }
}

/**
 * Returns the target of a redirect.
 * @throws {AppError} `source_refused` if the target cannot be imported or the redirect is from HTTPS to HTTP;
 *   `address_not_allowed`.
 */
export function redirectTarget(
  from: string,
  { status, headers }: ResponseHead,
  rules: AddressRules,
): ImportUrl {
  const [location, ...otherLocations] = new Set(headers['location']);
  if (!location) throw sourceRefused(`The server returned status ${status} without a Location header.`);
  if (otherLocations.length > 0)
    throw sourceRefused(`The server returned status ${status} with several different Location headers.`);
  // Node decodes headers as Latin-1, but a server that does not percent-encode the URL sends UTF-8.
  const target = URL.parse(Buffer.from(location, 'latin1').toString(), from);
  if (!target) throw sourceRefused('The server redirected to an invalid URL.');
  if (from.startsWith('https:') && target.protocol === 'http:') {
    throw sourceRefused('The server redirected from HTTPS to HTTP. Such redirects are not followed.');
  }
  return parseTarget(target.href, rules);
}

/**
 * Parses a redirect target. Reports an invalid target as the server's fault, because the caller's own URL was valid.
 */
function parseTarget(href: string, rules: AddressRules): ImportUrl {
  try {
    return parseImportUrl(href, rules);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'invalid_url') throw error;
    throw sourceRefused(`The server redirected to a URL that cannot be imported. ${error.message}`, error);
  }
}

function tooManyRedirects(limit: number): AppError {
  if (limit === 0)
    return sourceRefused(
      'The server sent a redirect, but redirects are disabled (IMPORT_MAX_REDIRECTS is 0).',
    );
  return sourceRefused(`The server redirected more than ${limit} ${limit === 1 ? 'time' : 'times'}.`);
}

function sourceRefused(message: string, cause?: unknown): AppError {
  return new AppError('source_refused', message, { cause });
}
