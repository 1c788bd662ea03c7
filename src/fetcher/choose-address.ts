import { isIP } from 'node:net';
import { type AddressClass, classifyAddress } from './address-class.ts';
import type { AddressRules } from './address-rules.ts';
import { hostOf, portOf } from './import-url.ts';
import { addressRefused } from './refusals.ts';
import type { ResolveHost } from './resolve-host.ts';

interface Dependencies {
  readonly rules: AddressRules;
  readonly resolveHost: ResolveHost;
  readonly signal: AbortSignal;
}

type AllowedAddress = Exclude<AddressClass, { readonly kind: 'denied' }>;

/**
 * The one address to connect to. Every address behind a name must be allowed: a name with a good and a bad one would
 * otherwise need only a little luck.
 * @throws {AppError} `address_not_allowed` or `source_unavailable`.
 */
export async function chooseAddress(url: URL, deps: Dependencies): Promise<AllowedAddress> {
  const host = hostOf(url);
  const found = isIP(host) ? [host] : await deps.resolveHost(host, deps.signal);
  const [first] = found.map((address) => allowed(address, url, deps.rules));
  if (first === undefined) throw addressRefused(url, `${host} has no address`);
  return first;
}

function allowed(address: string, url: URL, rules: AddressRules): AllowedAddress {
  const found = classifyAddress(address, portOf(url), rules);
  if (found.kind === 'denied') throw addressRefused(url, `${address} lies in ${found.rule}`);
  return found;
}
