import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { AllowedNetwork } from '../model/import.ts';
import { parseHost } from '../model/host.ts';
import type { Reader } from './readers.ts';

/** Networks in CIDR notation; a single address is a network of one. `none` is an empty list. */
export const networkList: Reader<readonly string[]> = {
  accepts: 'networks with commas between them, such as `10.1.0.0/16,fd00::/8`, or `none`',
  read: (text) => words(text).map(readNetwork),
};

/**
 * Networks in CIDR notation, each with one allowed port, or without a port to allow all. A single address is a network
 * of one.
 */
export const allowedNetworkList: Reader<readonly AllowedNetwork[]> = {
  accepts:
    'networks with commas between them, each with a port or without, such as `10.1.2.3/32:9000,[fd00::/8]:443,10.2.0.0/16`, or `none`',
  read: (text) => words(text).map(readAllowedNetwork),
};

/** An IPv6 network with a port is written in brackets, since both contain colons. */
function readAllowedNetwork(word: string): AllowedNetwork {
  const [, bracketed, bare, digits] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(word) ?? [];
  const network = readNetwork(bracketed ?? bare ?? word);
  if (digits === undefined) return { network, port: undefined };
  const port = Number(digits);
  if (port < 1 || port > 65_535) throw new Error(`names "${word}", whose port is not between 1 and 65535`);
  return { network, port };
}

function readNetwork(word: string): string {
  if (ipaddr.isValidCIDR(word)) return word;
  if (!ipaddr.IPv4.isValidFourPartDecimal(word) && !ipaddr.IPv6.isValid(word))
    throw new Error(`names "${word}", which is no network`);
  return `${word}/${ipaddr.parse(word).kind() === 'ipv4' ? 32 : 128}`;
}

/** Origins of web pages; `*` for every one. `none` is an empty list. */
export const originList: Reader<readonly string[] | '*'> = {
  accepts: 'origins with commas between them, such as `https://shop.example`; `*`; or `none`',
  read(text) {
    const named = words(text);
    return named.includes('*') ? '*' : named.map(readOrigin);
  },
};

/** The address under which clients reach the server: an origin, without a path. */
export const publicOrigin: Reader<string> = {
  accepts: 'an address without a path, such as `https://pictures.example.com`',
  read(text) {
    return readOrigin(text.trim());
  },
};

/** Names of hosts; `*.` stands for every name below one, `*` for every name. A port is ignored. `none` is an empty list. */
export const hostList: Reader<readonly string[]> = {
  accepts:
    'host names with commas between them, such as `pictures.example.com,*.shop.example`; `*`; or `none`',
  read: (text) => words(text).map(readHostPattern),
};

function readHostPattern(word: string): string {
  if (word === '*') return word;
  const name = word.replace(/^\*\./, '');
  const host = parseHost(isIPv6(name) ? `[${name}]` : name);
  if (host === undefined || /^\.|\*/.test(host)) throw new Error(`names "${word}", which is no host name`);
  return word.startsWith('*.') ? `*.${host}` : host;
}

function readOrigin(word: string): string {
  const url = URL.canParse(word) ? new URL(word) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search || url.hash)
    throw new Error(`names "${word}", which is no origin`);
  return url.origin;
}

/** Older installations wrote lists as JSON. Brackets around part of the list belong to an IPv6 network. */
function words(text: string): string[] {
  const bare = text.trim().replace(/^\[([^[\]]*|\s*["'][\s\S]*)\]$/, '$1');
  const named = bare.split(/[\s,;]+/).map((word) => word.replace(/^["']|["']$/g, ''));
  return named.filter((word) => word !== '' && word.toLowerCase() !== 'none');
}
