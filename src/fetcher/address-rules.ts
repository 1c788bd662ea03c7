import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { AppError } from '../errors.ts';
import { specialNetworks } from './special-networks.ts';
import type { AllowedNetwork } from '../model/allowed-network.ts';

/** What an operator grants beyond the public internet. */
export interface AddressRules {
  readonly allowedNetworks: readonly AllowedNetwork[];
}

/** An address as ipaddr.js holds it. */
type ParsedAddress = ipaddr.IPv4 | ipaddr.IPv6;

/** Whether `address` lies in `network`, given in CIDR notation. Networks of the other family never match. */
function liesIn(address: ParsedAddress, network: string): boolean {
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

/** An address that may be connected to; `exempt` lies in a network that the operator allows. */
export interface AllowedAddress {
  readonly kind: 'public' | 'exempt';
  /** The address in its shortest form; mapped IPv4 is plain IPv4 here. */
  readonly address: string;
}

/** An address that may not be connected to. */
interface DeniedAddress {
  readonly kind: 'denied';
  /** The violated rule, as it follows "it lies in". For the operator's log only. */
  readonly rule: string;
}

/** What an address is to the downloader. */
export type AddressClass = AllowedAddress | DeniedAddress;

/**
 * Judges a port of an address of IPv4 (four decimal parts) or IPv6. Everything not known to be public is denied: a
 * blocklist would allow whatever it omits.
 */
export function classifyAddress(text: string, port: number, rules: AddressRules): AddressClass {
  // A zone names an interface of this machine.
  if (isIP(text) === 0 || text.includes('%')) return denied('no network that can be fetched from');
  const written = parseAddress(text);
  const address = unmapped(written);
  const isExempt = rules.allowedNetworks.some(
    (allowed) => (allowed.port ?? port) === port && liesIn(address, allowed.network),
  );
  if (isExempt) return { kind: 'exempt', address: address.toString() };
  // Checked as written: the mapped form is a way to bypass checks, and no server needs it.
  const rule = brokenRule(written) ?? (isWebPort(port) ? undefined : notWebPort);
  return rule === undefined ? { kind: 'public', address: address.toString() } : denied(rule);
}

/** Whether pictures may be fetched from `port` of any public address. */
export function isWebPort(port: number): boolean {
  return port === 80 || port === 443;
}

const notWebPort = 'a public network, where only the ports 80 and 443 are open to imports';

const denied = (rule: string) => ({ kind: 'denied', rule }) as const;

/** The first rule that `address` breaks; `undefined` for a public one. */
function brokenRule(address: ParsedAddress): string | undefined {
  const special = specialNetworks.find(({ network }) => liesIn(address, network));
  if (special) return `${special.is} (${special.network})`;
  if (address instanceof ipaddr.IPv6) {
    if (!liesIn(address, globalUnicast)) return `a network that is not public (outside of ${globalUnicast})`;
    if (isIsatap(address)) return 'the IPv4 addresses inside IPv6 (ISATAP)';
  }
  // A second opinion, for ranges that become special after the table was written.
  return address.range() === 'unicast' ? undefined : `a network that is not public (${address.range()})`;
}

/** All of IPv6 that is handed out. */
const globalUnicast = '2000::/3';

/** ISATAP tunnels to the IPv4 address in the last 32 bits; the two bits in the mask may be set or not. */
function isIsatap({ parts }: ipaddr.IPv6): boolean {
  return ((parts[4] ?? 0) & 0xfcff) === 0 && parts[5] === 0x5efe;
}

/**
 * The refusal of an address: the same message for literals, names, ports and every kind of network. Separate messages
 * would reveal the operator's DNS records.
 * @param url what the caller, or a redirect, wants to be fetched
 * @param why the broken rule, for the operator's log
 */
export function addressRefused(url: URL, why: string): AppError {
  return new AppError(
    'address_not_allowed',
    `The address ${url.host} is not allowed: imports reach the ports 80 and 443 of public addresses, and what IMPORT_ALLOWED_NETWORKS names.`,
    { cause: new Error(why) },
  );
}
