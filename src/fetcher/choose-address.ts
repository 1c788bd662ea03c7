import { isIP } from 'node:net';
import { classifyAddress } from './address-class.ts';
import type { AddressRules } from './address-rules.ts';
import { addressRefused, isWebPort, portRefused } from './refusals.ts';
import type { ResolveHost } from './resolve-host.ts';

/** Where a connection is to go. */
interface Destination {
  /** A name or an address literal, an IPv6 one without brackets. */
  readonly hostname: string;
  /** Empty for the port of the scheme. */
  readonly port: string;
}

interface Parts {
  readonly rules: AddressRules;
  readonly resolveHost: ResolveHost;
  readonly signal: AbortSignal;
}

/**
 * The one address to connect to. Every address behind a name must be allowed: a name with a good and a bad one would
 * otherwise need only a little luck.
 * @throws {AppError} `address_not_allowed` or `source_unavailable`.
 */
export async function chooseAddress(destination: Destination, parts: Parts): Promise<string> {
  const { hostname } = destination;
  const found = isIP(hostname) ? [hostname] : await parts.resolveHost(hostname, parts.signal);
  const [first] = found.map((address) => allowed(address, destination, parts.rules));
  if (first === undefined) throw addressRefused(hostname, 'no network at all');
  return first;
}

/** `address` as it is to be connected to; `destination` is what the error may tell. */
function allowed(address: string, { hostname, port }: Destination, rules: AddressRules): string {
  const found = classifyAddress(address, rules);
  if (found.kind === 'denied') throw addressRefused(hostname, found.rule);
  if (found.kind === 'public' && !isWebPort(port)) throw portRefused(port);
  return found.address;
}
