import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { AllowedNetwork } from '../model/import.ts';
import { parseHost } from '../model/host.ts';
import type { Parser } from './parsers.ts';

/** Networks in CIDR notation. A single address means a network of one address; `none` means an empty list. */
export const networkList: Parser<readonly string[]> = {
  accepts: 'comma-separated networks, such as `10.1.0.0/16,fd00::/8`, or `none`',
  parse: (text) => splitList(text).map(parseNetwork),
};

/** Networks in CIDR notation, each optionally limited to one port. */
export const allowedNetworkList: Parser<readonly AllowedNetwork[]> = {
  accepts:
    'comma-separated networks, each with an optional port, such as `10.1.2.3/32:9000,[fd00::/8]:443,10.2.0.0/16`, or `none`',
  parse: (text) => splitList(text).map(parseAllowedNetwork),
};

/** Parses a network and its optional port. An IPv6 network with a port must be in brackets. */
function parseAllowedNetwork(word: string): AllowedNetwork {
  const [, bracketedNetwork, plainNetwork, portText] =
    /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(word) ?? [];
  const network = parseNetwork(bracketedNetwork ?? plainNetwork ?? word);
  if (portText === undefined) return { network, port: undefined };
  const port = Number(portText);
  if (port < 1 || port > 65_535) throw new Error(`contains "${word}", whose port is not between 1 and 65535`);
  return { network, port };
}

function parseNetwork(word: string): string {
  if (ipaddr.isValidCIDR(word)) return word;
  if (!ipaddr.IPv4.isValidFourPartDecimal(word) && !ipaddr.IPv6.isValid(word))
    throw new Error(`contains "${word}", which is not a network`);
  return `${word}/${ipaddr.parse(word).kind() === 'ipv4' ? 32 : 128}`;
}

/** Origins of web pages. `*` means every origin; `none` means an empty list. */
export const originList: Parser<readonly string[] | '*'> = {
  accepts: 'comma-separated origins, such as `https://shop.example`; `*`; or `none`',
  parse(text) {
    const origins = splitList(text);
    return origins.includes('*') ? '*' : origins.map(parseOrigin);
  },
};

/** The origin at which clients reach the server. */
export const publicOrigin: Parser<string> = {
  accepts: 'a URL without a path, such as `https://pictures.example.com`',
  parse(text) {
    return parseOrigin(text.trim());
  },
};

/**
 * Host names. `*.example.com` matches all subdomains, and `*` matches every name. `none` means an empty list. Ports
 * are ignored.
 */
export const hostList: Parser<readonly string[]> = {
  accepts: 'comma-separated host names, such as `pictures.example.com,*.shop.example`; `*`; or `none`',
  parse: (text) => splitList(text).map(parseHostPattern),
};

function parseHostPattern(word: string): string {
  if (word === '*') return word;
  const name = word.replace(/^\*\./, '');
  const host = parseHost(isIPv6(name) ? `[${name}]` : name);
  if (host === undefined || /^\.|\*/.test(host))
    throw new Error(`contains "${word}", which is not a host name`);
  return word.startsWith('*.') ? `*.${host}` : host;
}

function parseOrigin(word: string): string {
  const url = URL.canParse(word) ? new URL(word) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search || url.hash)
    throw new Error(`contains "${word}", which is not an origin`);
  return url.origin;
}

/**
 * Splits a list. Also accepts a JSON array, which older installations use. Keeps brackets around an individual item,
 * because they belong to an IPv6 network.
 */
function splitList(text: string): string[] {
  const itemText = text.trim().replace(/^\[([^[\]]*|\s*["'][\s\S]*)\]$/, '$1');
  const items = itemText.split(/[\s,;]+/).map((word) => word.replace(/^["']|["']$/g, ''));
  return items.filter((word) => word !== '' && word.toLowerCase() !== 'none');
}
