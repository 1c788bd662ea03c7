import { AppError } from '../errors.ts';
import type { AddressRules } from './address-rules.ts';
import { type Answer, ask, type ExchangeOptions, type ResponseHead } from './exchange.ts';
import { type ImportUrl, parseImportUrl } from './import-url.ts';

const redirectStatuses = new Set([301, 302, 303, 307, 308]);

/** The first answer that is no redirect, and where it came from. */
interface Arrival {
  readonly url: ImportUrl;
  readonly answer: Answer;
}

/**
 * Asks for `first`, and for what it redirects to. Every hop is checked as if it were the first.
 * @throws {AppError} as {@link ask}, and `source_refused` for redirects that lead nowhere.
 */
export async function askAndFollow(
  first: ImportUrl,
  options: ExchangeOptions & { readonly maxRedirects: number },
  signal: AbortSignal,
): Promise<Arrival> {
  let url = first;
  for (let followed = 0; ; followed += 1) {
    const answer = await ask(url.href, options, signal);
    if (!redirectStatuses.has(answer.head.status)) return { url, answer };
    await answer.end();
    if (followed === options.maxRedirects) throw tooManyRedirects(options.maxRedirects);
    url = redirectTarget(url.href, answer.head, options.rules);
  }
}

/**
 * Where a redirect leads.
 * @throws {AppError} `source_refused` for a target that is no importable URL or leaves TLS; `address_not_allowed`.
 */
export function redirectTarget(
  from: string,
  { status, fields }: ResponseHead,
  rules: AddressRules,
): ImportUrl {
  const [location, ...others] = new Set(fields['location']);
  if (!location) throw refused(`The server answered ${status} without saying where to.`);
  if (others.length > 0) throw refused(`The server answered ${status} and names several places to go to.`);
  // Headers are read byte by byte; servers that escape nothing send UTF-8.
  const to = URL.parse(Buffer.from(location, 'latin1').toString(), from);
  if (!to) throw refused('The server redirects to what is not a URL.');
  if (from.startsWith('https:') && to.protocol === 'http:') {
    throw refused('The server redirects from https to http; that is not followed.');
  }
  return parseTarget(to.href, rules);
}

/** The caller's own URL was fine, so what is wrong with the next one is the server's doing. */
function parseTarget(href: string, rules: AddressRules): ImportUrl {
  try {
    return parseImportUrl(href, rules);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'invalid_url') throw error;
    throw refused(`The server redirects to a URL that cannot be imported. ${error.message}`, error);
  }
}

function tooManyRedirects(limit: number): AppError {
  if (limit === 0) return refused('The server redirects; that is not followed (IMPORT_MAX_REDIRECTS is 0).');
  return refused(`The server redirects more than ${limit} ${limit === 1 ? 'time' : 'times'}.`);
}

function refused(sentence: string, cause?: unknown): AppError {
  return new AppError('source_refused', sentence, { cause });
}
