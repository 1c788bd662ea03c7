import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { AppError } from '../errors.ts';
import { addressRefused, type AddressRules, classifyAddress, isWebPort } from './address-rules.ts';

/** A URL that may be imported: normalised as browsers do it, without its fragment. */
export interface ImportUrl {
  readonly href: string;
  /** SHA-256 of `href`, in hexadecimal digits. */
  readonly hash: string;
}

/** Longest URL, in characters. */
export const longestUrl = 2048;

/** So much of a text that is no URL is repeated in its error. */
const shownCharacters = 80;

/**
 * Parses a URL, and refuses at once what can be refused without a name lookup. A name with an unusual port passes if a
 * network with that port is allowed: whether it resolves to that network is checked later.
 * @throws {AppError} `invalid_url` for what is no http(s) URL, carries a user name or is longer than 2048 characters;
 *   `address_not_allowed` for an address literal or a port that is not allowed.
 */
export function parseImportUrl(text: string, rules: AddressRules): ImportUrl {
  assertLength(text);
  assertVisible(text);
  const url = URL.parse(text);
  if (!url) throw unreadable(text);
  assertScheme(url);
  url.hash = '';
  stripTrailingDot(url);
  assertLength(url.href);
  assertReachable(url, rules);
  return { href: url.href, hash: createHash('sha256').update(url.href).digest('hex') };
}

/** The host of `url` as name servers and sockets take it: an IPv6 literal without its brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

/** The port of `url`, or that of its scheme. */
export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}

function assertLength(text: string): void {
  if (text.length > longestUrl) {
    throw invalid(`The URL is longer than ${longestUrl} characters (it has ${text.length}).`);
  }
}

/**
 * Invisible characters that are copied along with a URL from a file, a table or a chat. They would become part of the
 * URL, and the server would not find the file. Joiners of emoji and of some scripts are not included.
 */
const invisible = /[\u00A0\u00AD\u200B\u200E\u200F\u202A-\u202F\u2060-\u2064\u2066-\u2069\uFEFF]/u;

const invisibleNames: Readonly<Record<string, string>> = {
  '\u00A0': 'a no-break space',
  '\u00AD': 'a soft hyphen',
  '\u200B': 'a zero-width space',
  '\uFEFF': 'a byte order mark',
};

function assertVisible(text: string): void {
  const found = invisible.exec(text);
  if (!found) return;
  const [character] = found;
  const code = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
  const name = invisibleNames[character] ?? 'invisible';
  throw invalid(
    `The URL has the character U+${code} (${name}) at character ${found.index + 1}; remove it, or write it as a percent escape if it belongs there.`,
  );
}

function assertScheme({ protocol, username, password }: URL): void {
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw invalid(`The URL begins with ${protocol}; only http: and https: can be imported.`);
  }
  if (username || password) throw invalid('The URL carries a user name or a password; it must not.');
}

/** `example.com.` and `example.com` are one host; more than one dot at the end is none. */
function stripTrailingDot(url: URL): void {
  if (url.hostname.endsWith('.')) url.hostname = url.hostname.slice(0, -1);
  if (url.hostname.endsWith('.')) throw invalid('The host of the URL is not valid.');
}

function assertReachable(url: URL, rules: AddressRules): void {
  const host = hostOf(url);
  const port = portOf(url);
  if (isIP(host) !== 0) {
    const found = classifyAddress(host, port, rules);
    if (found.kind === 'denied') throw addressRefused(url, `${host} lies in ${found.rule}`);
    return;
  }
  const isOpenSomewhere = rules.allowedNetworks.some((allowed) => (allowed.port ?? port) === port);
  if (!isWebPort(port) && !isOpenSomewhere)
    throw addressRefused(url, `no network is allowed on port ${port}`);
}

/** Says what is wrong with a text that is no URL at all. */
function unreadable(text: string): AppError {
  if (text.trim() === '') return invalid('The URL is empty: it must begin with http:// or https://.');
  const why = /^\s*https?:/i.test(text)
    ? 'its host cannot be read, or its port is above 65535.'
    : 'it must begin with http:// or https://, and name a host.';
  return invalid(`The URL ${JSON.stringify(shorten(text))} is not valid: ${why}`);
}

/** As an error repeats it: without what may be secret in it, a query or a password. */
function shorten(text: string): string {
  const shown = text
    .replace(/[?#].*$/s, '')
    .replace(/\/\/[^/]*@/, '//…@')
    .toWellFormed();
  return shown.length <= shownCharacters ? shown : `${shown.slice(0, shownCharacters - 1)}…`;
}

function invalid(sentence: string): AppError {
  return new AppError('invalid_url', sentence);
}

/** Name of the file at the end of a URL's path, `undefined` when the path ends with a slash. */
export function filenameOf(href: string): string | undefined {
  const decoded = decode(new URL(href).pathname);
  // After decoding, since a slash may be hidden in the escapes.
  return decoded.split(/[/\\]/).at(-1) || undefined;
}

/** Paths may hold percent signs that are no escapes. */
function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
