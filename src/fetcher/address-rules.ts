import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { AppError } from '../errors.ts';
import type { AllowedNetwork } from '../model/import.ts';
import { specialNetworks } from './special-networks.ts';

/** What the operator allows in addition to the public internet. */
export interface AddressRules {
  readonly allowedNetworks: readonly AllowedNetwork[];
}

/** An address that may be connected to. */
export interface AllowedAddress {
  /** `exempt` addresses are in a network that the operator allows. */
  readonly kind: 'public' | 'exempt';
  /** The address in its shortest form, with IPv4-mapped IPv6 converted to IPv4. */
  readonly address: string;
}

/** An address that must not be connected to. */
interface DeniedAddress {
  readonly kind: 'denied';
  /** The violated rule, worded to follow "it belongs to". For the operator's log only. */
  readonly rule: string;
}

/** Whether the downloader may connect to an address, and why not. */
export type AddressClass = AllowedAddress | DeniedAddress;

/**
 * Classifies a port of an IPv4 address (four decimal parts) or IPv6 address. Everything not known to be public is denied,
 * because a blocklist allows whatever it omits.
 */
export function classifyAddress(text: string, port: number, rules: AddressRules): AddressClass {
  // A zone names an interface of this machine.
  if (isIP(text) === 0 || text.includes('%')) return denied('no network that can be fetched from');
  const written = parseAddress(text);
  const address = unmapIPv4(written);
  const isExempt = rules.allowedNetworks.some(
    (allowed) => (allowed.port ?? port) === port && isInNetwork(address, allowed.network),
  );
  if (isExempt) return { kind: 'exempt', address: address.toString() };
  // Checked as written: the mapped form is a way around such checks, and no server needs it.
  const rule = findViolatedRule(written) ?? (isWebPort(port) ? undefined : notWebPort);
  return rule === undefined ? { kind: 'public', address: address.toString() } : denied(rule);
}

/** Whether imports may use `port` of any public address. */
export function isWebPort(port: number): boolean {
  return port === 80 || port === 443;
}

const notWebPort = 'a public network, where imports may only use ports 80 and 443';

const denied = (rule: string) => ({ kind: 'denied', rule }) as const;

/** Returns the first rule that `address` violates, or `undefined` for a public address. */
function findViolatedRule(address: ParsedAddress): string | undefined {
  const special = specialNetworks.find(({ network }) => isInNetwork(address, network));
  if (special) return `${special.description} (${special.network})`;
  if (address instanceof ipaddr.IPv6) {
    if (!isInNetwork(address, globalUnicast)) return `a non-public network (outside ${globalUnicast})`;
    if (isIsatap(address)) return 'the IPv4 addresses embedded in IPv6 (ISATAP)';
  }
  // A second opinion, for ranges that became special after our table was written.
  return address.range() === 'unicast' ? undefined : `a non-public network (${address.range()})`;
}

/** All of IPv6 that has been allocated. */
const globalUnicast = '2000::/3';

/** ISATAP tunnels to the IPv4 address in the last 32 bits. The two masked bits may be set or not. */
function isIsatap({ parts }: ipaddr.IPv6): boolean {
  return ((parts[4] ?? 0) & 0xfcff) === 0 && parts[5] === 0x5efe;
}

type ParsedAddress = ipaddr.IPv4 | ipaddr.IPv6;

/** Whether `address` is in `network`, given in CIDR notation. Networks of the other address family never match. */
function isInNetwork(address: ParsedAddress, network: string): boolean {
  const [base, bits] = ipaddr.parseCIDR(network);
  return base.kind() === address.kind() && address.match(base, bits);
}

/** Parses a valid address without brackets. */
export function parseAddress(text: string): ParsedAddress {
  // ipaddr.js takes `::a.b.c.d` for `::ffff:a.b.c.d`. The URL parser first converts both to hexadecimal.
  const hostname = text.includes(':') ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text;
  return ipaddr.parse(hostname);
}

/** Converts an IPv4-mapped address to IPv4, because the system connects `::ffff:a.b.c.d` to a.b.c.d. */
export function unmapIPv4(address: ParsedAddress): ParsedAddress {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

/**
 * Creates the error for a denied address. The message is the same for literals, names, ports and every kind of network:
 * separate messages would reveal the operator's DNS records.
 * @param url the URL that the caller or a redirect asked for
 * @param reason the violated rule, for the operator's log
 */
export function addressRefused(url: URL, reason: string): AppError {
  return new AppError(
    'address_not_allowed',
    `The address ${url.host} is not allowed: imports may only connect to ports 80 and 443 of public addresses, and to the networks in IMPORT_ALLOWED_NETWORKS.`,
    { cause: new Error(reason) },
  );
}
