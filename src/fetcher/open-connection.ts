import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  addressNotAllowed,
  type AddressRules,
  type AllowedAddress,
  classifyAddress,
  parseAddress,
  unmapIPv4,
} from './address-rules.ts';
import { hostOf, portOf } from './import-url.ts';
import type { ResolveHost } from './resolve-host.ts';
import { abortReason, ConnectTimeout, toConnectionError } from './source-errors.ts';

interface ConnectOptions {
  readonly rules: AddressRules;
  readonly resolveHost: ResolveHost;
  /** Deadline for connecting, including the TLS handshake, in milliseconds. */
  readonly connectMs: number;
  readonly signal: AbortSignal;
}

/** A connection to an allowed address. */
interface Connection {
  readonly socket: Socket;
  /** Whether the address is in a network that the operator allows. */
  readonly isInAllowedNetwork: boolean;
}

/**
 * Connects to the server of `url`, with TLS for HTTPS. The host name is resolved only once, and the socket connects to
 * the address that was checked, so that DNS cannot return a different address after the check.
 * @throws {AppError} `address_not_allowed`, `source_refused`, `source_unavailable`; the abort reason of `signal`.
 */
export async function openConnection(url: URL, options: ConnectOptions): Promise<Connection> {
  const { address, kind } = await chooseAddress(url, options).catch((error: unknown) => {
    throw options.signal.aborted ? abortReason(options.signal) : error;
  });
  if (options.signal.aborted) throw abortReason(options.signal);
  const isInAllowedNetwork = kind === 'in-allowed-network';
  const socket = await whenConnected(startSocket(url, address), url, options).catch((error: unknown) => {
    throw options.signal.aborted
      ? abortReason(options.signal)
      : toConnectionError(error, { ...options, isInAllowedNetwork });
  });
  assertRemoteAddress(socket, address, url);
  return { socket, isInAllowedNetwork };
}

/**
 * Resolves the host of `url` and returns the address to connect to. All addresses of a host name must be allowed.
 * Otherwise, an attacker could add a denied address to the name's DNS records and retry until that address is chosen.
 * @throws {AppError} `address_not_allowed` or `source_unavailable`.
 */
export async function chooseAddress(
  url: URL,
  { rules, resolveHost, signal }: Omit<ConnectOptions, 'connectMs'>,
): Promise<AllowedAddress> {
  const host = hostOf(url);
  const addresses = isIP(host) ? [host] : await resolveHost(host, signal);
  const [firstAddress] = addresses.map((address) => assertAllowed(address, url, rules));
  if (firstAddress === undefined) throw addressNotAllowed(url, `${host} has no address`);
  return firstAddress;
}

function assertAllowed(address: string, url: URL, rules: AddressRules): AllowedAddress {
  const addressClass = classifyAddress(address, portOf(url), rules);
  if (addressClass.kind === 'denied') throw addressNotAllowed(url, `${address} ${addressClass.reason}`);
  return addressClass;
}

/**
 * Starts connecting to `address`. The host name is only used to verify the certificate. TLS sessions are not resumed,
 * because a resumed session would skip the verification.
 */
function startSocket(url: URL, address: string): Socket {
  const target = { host: address, port: portOf(url) };
  if (url.protocol !== 'https:') return connectTcp(target);
  const host = hostOf(url);
  return connectTls({
    ...target,
    ALPNProtocols: ['http/1.1'],
    ...(isIP(host) === 0 && { servername: host }),
  });
}

async function whenConnected(
  socket: Socket,
  url: URL,
  { connectMs, signal }: ConnectOptions,
): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  // This listener is never removed. Without it, an error on the established connection would end the process.
  socket.on('error', reject);
  socket.once('close', () => reject(new Error('The connection was closed.')));
  socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => resolve(socket));
  const timer = setTimeout(() => socket.destroy(new ConnectTimeout()), connectMs);
  const stop = () => socket.destroy(abortReason(signal));
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

/** Verifies that the socket is connected to the checked address. */
function assertRemoteAddress(socket: Socket, address: string, url: URL): void {
  const { remoteAddress } = socket;
  // A socket that is already closed has no address. The reader then reports the closed connection.
  if (remoteAddress === undefined || unmapIPv4(parseAddress(remoteAddress)).toString() === address) return;
  socket.destroy();
  throw addressNotAllowed(url, `the socket connected to ${remoteAddress} instead of ${address}`);
}
