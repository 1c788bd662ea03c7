import ipaddr from 'ipaddr.js';
import type { AllowedNetwork } from '../model/import.ts';

/** What an operator grants beyond the public internet. */
export interface AddressRules {
  readonly allowedNetworks: readonly AllowedNetwork[];
}

/** An address as ipaddr.js holds it. */
export type ParsedAddress = ipaddr.IPv4 | ipaddr.IPv6;

/** Whether `address` lies in `network`, given in CIDR notation. Networks of the other family never match. */
export function liesIn(address: ParsedAddress, network: string): boolean {
  const [base, bits] = ipaddr.parseCIDR(network);
  return base.kind() === address.kind() && address.match(base, bits);
}

/** Reads a valid address, given without brackets. */
export function parseAddress(text: string): ParsedAddress {
  // ipaddr.js takes `::a.b.c.d` for `::ffff:a.b.c.d`; the URL parser writes both in hexadecimal digits first.
  const hostname = text.includes(':') ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text;
  return ipaddr.parse(hostname);
}

/** The system connects `::ffff:a.b.c.d` to a.b.c.d, so that is what it is here. */
export function unmapped(address: ParsedAddress): ParsedAddress {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}
