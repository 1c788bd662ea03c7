import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { AppError } from '../errors.ts';
import { addressNotAllowed, type AddressRules, classifyAddress, isWebPort } from './address-rules.ts';

/** A URL that may be imported. It is normalised as a browser would normalise it, and its fragment is removed. */
export interface ImportUrl {
  readonly href: string;
  /** Hexadecimal SHA-256 of `href`. */
  readonly hash: string;
}

/** Maximum length of a URL, in characters. */
export const maxUrlLength = 2048;

/** Maximum number of characters that an error message quotes from an invalid URL. */
const maxQuotedLength = 80;

/**
 * Parses a URL. Rejects everything that can be rejected without a DNS lookup. A host name with a port other than 80 or
 * 443 is accepted if any allowed network includes that port. Whether the name resolves to an address in that network is
 * checked later.
 * @throws {AppError} `invalid_url` if `text` is not an HTTP(S) URL, contains credentials or is longer than 2048
 *   characters; `address_not_allowed` if its IP address or port is not allowed.
 */
export function parseImportUrl(text: string, rules: AddressRules): ImportUrl {
  assertLength(text);
  assertNoInvisibleCharacters(text);
  const url = URL.parse(text);
  if (!url) throw unparseableUrl(text);
  assertScheme(url);
  url.hash = '';
  stripTrailingDot(url);
  assertLength(url.href);
  assertAddressAllowed(url, rules);
  return { href: url.href, hash: createHash('sha256').update(url.href).digest('hex') };
}

/** Returns the host of `url`. Removes the brackets of an IPv6 address, because DNS and sockets do not accept them. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

/** Returns the port of `url`, or the default port of its scheme. */
export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}

function assertLength(text: string): void {
  if (text.length > maxUrlLength) {
    throw invalidUrl(`The URL is longer than ${maxUrlLength} characters (it has ${text.length}).`);
  }
}

/**
 * Invisible characters that are often copied together with a URL from a file, a spreadsheet or a chat. They would
 * become part of the URL, and the server would not find the file. The joiners used by emoji and some scripts are
 * allowed.
 */
const invisibleCharacter = /[\u00A0\u00AD\u200B\u200E\u200F\u202A-\u202F\u2060-\u2064\u2066-\u2069\uFEFF]/u;

const invisibleCharacterNames: Readonly<Record<string, string>> = {
  '\u00A0': 'a no-break space',
  '\u00AD': 'a soft hyphen',
  '\u200B': 'a zero-width space',
  '\uFEFF': 'a byte order mark',
};

function assertNoInvisibleCharacters(text: string): void {
  const match = invisibleCharacter.exec(text);
  if (!match) return;
  const [character] = match;
  const code = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
  const name = invisibleCharacterNames[character] ?? 'an invisible character';
  throw invalidUrl(
    `The URL contains U+${code} (${name}) at character ${match.index + 1}. Remove it, or percent-encode it if it belongs there.`,
  );
}

function assertScheme({ protocol, username, password }: URL): void {
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw invalidUrl(`The URL begins with ${protocol}, but only http: and https: URLs can be imported.`);
  }
  if (username || password) throw invalidUrl('The URL must not contain a user name or a password.');
}

/**
 * Removes the trailing dot of the host name, because `example.com.` and `example.com` are the same host. More than one
 * trailing dot is invalid.
 */
function stripTrailingDot(url: URL): void {
  if (url.hostname.endsWith('.')) url.hostname = url.hostname.slice(0, -1);
  if (url.hostname.endsWith('.')) throw invalidUrl("The URL's host is not valid.");
}

function assertAddressAllowed(url: URL, rules: AddressRules): void {
  const host = hostOf(url);
  const port = portOf(url);
  if (isIP(host) !== 0) {
    const addressClass = classifyAddress(host, port, rules);
    if (addressClass.kind === 'denied') throw addressNotAllowed(url, `${host} ${addressClass.reason}`);
    return;
  }
  const isPortAllowed =
    isWebPort(port) || rules.allowedNetworks.some((network) => (network.port ?? port) === port);
  if (!isPortAllowed) throw addressNotAllowed(url, `no allowed network includes port ${port}`);
}

/** Creates the error for text that cannot be parsed as a URL. */
function unparseableUrl(text: string): AppError {
  if (text.trim() === '') return invalidUrl('The URL is empty: it must begin with http:// or https://.');
  const reason = /^\s*https?:/i.test(text)
    ? 'its host is invalid, or its port is above 65535.'
    : 'it must begin with http:// or https:// and include a host.';
  return invalidUrl(`The URL ${JSON.stringify(redactAndShorten(text))} is not valid: ${reason}`);
}

/**
 * Shortens a URL for an error message and removes the parts that may be secret: the credentials, the query and the
 * fragment.
 */
function redactAndShorten(text: string): string {
  const safeText = text
    .replace(/[?#].*$/s, '')
    .replace(/\/\/[^/]*@/, '//…@')
    .toWellFormed();
  return safeText.length <= maxQuotedLength ? safeText : `${safeText.slice(0, maxQuotedLength - 1)}…`;
}

function invalidUrl(message: string): AppError {
  return new AppError('invalid_url', message);
}

/** Returns the file name at the end of a URL's path, or `undefined` if the path ends with a slash. */
export function filenameOf(href: string): string | undefined {
  const decodedPath = decode(new URL(href).pathname);
  // The path is split after it has been decoded, because a slash may be percent-encoded.
  return decodedPath.split(/[/\\]/).at(-1) || undefined;
}

/** Decodes percent-encoding. Returns `path` unchanged if it contains an invalid escape. */
function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
