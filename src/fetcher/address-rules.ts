import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { AppError } from '../errors.ts';
import type { AllowedNetwork } from '../model/import.ts';
import { specialNetworks } from './special-networks.ts';

/** The networks that the operator allows in addition to the public internet. */
export interface AddressRules {
  readonly allowedNetworks: readonly AllowedNetwork[];
}

/** An address to which connections are allowed. */
export interface AllowedAddress {
  /** Whether the address is public or in a network that the operator allows. */
  readonly kind: 'public' | 'in-allowed-network';
  /** The address in its shortest form, with IPv4-mapped IPv6 converted to IPv4. */
  readonly address: string;
}

/** An address to which connections are not allowed. */
interface DeniedAddress {
  readonly kind: 'denied';
  /** Completes the sentence "the address …". Only shown in the operator's log. */
  readonly reason: string;
}

/** Whether imports may connect to an address and, if not, why. */
export type AddressClass = AllowedAddress | DeniedAddress;

/**
 * Classifies an IPv4 address (in dotted-decimal notation) or an IPv6 address, together with a port. Denies every
 * address that is neither in an allowed network nor known to be public.
 */
export function classifyAddress(text: string, port: number, rules: AddressRules): AddressClass {
  // An address with a zone ID is denied, because the zone ID selects a network interface of this machine.
  if (isIP(text) === 0 || text.includes('%')) return deny('is not an IP address, or has a zone ID');
  const parsedAddress = parseAddress(text);
  const address = unmapIPv4(parsedAddress);
  const isInAllowedNetwork = rules.allowedNetworks.some(
    ({ network, port: allowedPort = port }) => allowedPort === port && isInNetwork(address, network),
  );
  if (isInAllowedNetwork) return { kind: 'in-allowed-network', address: address.toString() };
  // An IPv4-mapped address is not converted for this check and is therefore denied. Attackers use this form to bypass
  // checks, and legitimate servers do not need it.
  const reason = denialReason(parsedAddress) ?? (isWebPort(port) ? undefined : notWebPortReason);
  return reason === undefined ? { kind: 'public', address: address.toString() } : deny(reason);
}

/** Whether imports may connect to `port` of public addresses. */
export function isWebPort(port: number): boolean {
  return port === 80 || port === 443;
}

const notWebPortReason = 'is public, but imports may only use ports 80 and 443 of public addresses';

const deny = (reason: string) => ({ kind: 'denied', reason }) as const;

/** Returns why `address` is not public, or `undefined` if it is public. */
function denialReason(address: ParsedAddress): string | undefined {
  const specialNetwork = specialNetworks.find(({ network }) => isInNetwork(address, network));
  if (specialNetwork) return `is ${specialNetwork.description} (${specialNetwork.network})`;
  if (address instanceof ipaddr.IPv6) {
    if (!isInNetwork(address, globalUnicast)) return `is not a global unicast address (${globalUnicast})`;
    if (isIsatap(address)) return 'is an IPv6 address with an embedded IPv4 address (ISATAP)';
  }
  // This check covers special ranges that ipaddr.js lists but `specialNetworks` does not.
  return address.range() === 'unicast' ? undefined : `is not a unicast address (${address.range()})`;
}

/** The IPv6 range from which public addresses are allocated. */
const globalUnicast = '2000::/3';

/**
 * Whether packets to this address are tunnelled to the IPv4 address in its last 32 bits. The two masked bits may have
 * any value.
 */
function isIsatap({ parts }: ipaddr.IPv6): boolean {
  return ((parts[4] ?? 0) & 0xfcff) === 0 && parts[5] === 0x5efe;
}

type ParsedAddress = ipaddr.IPv4 | ipaddr.IPv6;

/** Whether `address` is in `network` (CIDR notation). A network of the other address family never matches. */
function isInNetwork(address: ParsedAddress, network: string): boolean {
  const [base, prefixLength] = ipaddr.parseCIDR(network);
  return base.kind() === address.kind() && address.match(base, prefixLength);
}

/** Parses a valid IP address without brackets. */
export function parseAddress(text: string): ParsedAddress {
  // ipaddr.js confuses `::a.b.c.d` with `::ffff:a.b.c.d`. The URL parser therefore rewrites the address in hexadecimal
  // first.
  const hostname = text.includes(':') ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text;
  return ipaddr.parse(hostname);
}

/** Converts an IPv4-mapped address to IPv4, because the system connects to a.b.c.d for `::ffff:a.b.c.d`. */
export function unmapIPv4(address: ParsedAddress): ParsedAddress {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

/**
 * Creates the error for a denied address. Its message does not contain the reason, because the reason would reveal the
 * operator's DNS records.
 * @param url the URL from the caller or a redirect
 * @param reason why the address is denied, for the operator's log
 */
export function addressNotAllowed(url: URL, reason: string): AppError {
  return new AppError(
    'address_not_allowed',
    `The address ${url.host} is not allowed: imports may only connect to ports 80 and 443 of public addresses, and to the networks in IMPORT_ALLOWED_NETWORKS.`,
    { cause: new Error(reason) },
  );
}
