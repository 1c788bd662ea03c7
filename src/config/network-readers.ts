import ipaddr from 'ipaddr.js';
import type { AllowedNetwork } from '../model/allowed-network.ts';
import type { Reader } from './readers.ts';

/** Networks in CIDR notation; a single address is a network of one. `none` is an empty list. */
export const networkList: Reader<readonly string[]> = {
  accepts: 'networks with commas between them, such as `10.1.0.0/16,fd00::/8`, or `none`',
  read: (text) => words(text).map(readNetwork),
};

/** Networks in CIDR notation, each with the one port that is opened, or without one for every port. A single address is a network of one. */
export const allowedNetworkList: Reader<readonly AllowedNetwork[]> = {
  accepts:
    'networks with commas between them, each with a port or without, such as `10.1.2.3/32:9000,[fd00::/8]:443,10.2.0.0/16`, or `none`',
  read: (text) => words(text).map(readAllowedNetwork),
};

/** An IPv6 network with a port stands in brackets, since both are written with colons. */
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

function readOrigin(word: string): string {
  const url = URL.canParse(word) ? new URL(word) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search || url.hash)
    throw new Error(`names "${word}", which is no origin`);
  return url.origin;
}

/** Older installations wrote lists as JSON. Brackets around a part of the list belong to an IPv6 network. */
function words(text: string): string[] {
  const bare = text.trim().replace(/^\[([^[\]]*|\s*["'][\s\S]*)\]$/, '$1');
  const named = bare.split(/[\s,;]+/).map((word) => word.replace(/^["']|["']$/g, ''));
  return named.filter((word) => word !== '' && word.toLowerCase() !== 'none');
}
