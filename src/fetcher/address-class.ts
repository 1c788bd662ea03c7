import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { type AddressRules, liesIn, type ParsedAddress, parseAddress, unmapped } from './address-rules.ts';
import { specialNetworks } from './special-networks.ts';

/** An address that may be connected to; `exempt` lies in a network that the operator allows. */
interface AllowedAddress {
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
