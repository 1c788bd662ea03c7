import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  type AllowedAddress,
  addressRefused,
  type AddressRules,
  classifyAddress,
  parseAddress,
  unmapped,
} from './address-rules.ts';
import { hostOf, portOf } from './import-url.ts';
import type { ResolveHost } from './resolve-host.ts';
import { ConnectTimeout, namedConnectionError, reasonOf } from './source-errors.ts';

interface Dependencies {
  readonly rules: AddressRules;
  readonly resolveHost: ResolveHost;
  /** Longest time for a connection with its handshake, in milliseconds. */
  readonly connectMs: number;
  readonly signal: AbortSignal;
}

/** A connection to an allowed address. */
interface Connection {
  readonly socket: Socket;
  /** The address lies in a network that the operator allows. */
  readonly isExempt: boolean;
}

/**
 * Connects to the server of `url`, with TLS for https. The check happens here because nothing may come between it and
 * the connection: the name is resolved once, and the socket connects to the address that was checked.
 * @throws {AppError} `address_not_allowed`, `source_refused`, `source_unavailable`; the reason of `signal`.
 */
export async function openConnection(url: URL, deps: Dependencies): Promise<Connection> {
  const { address, kind } = await chooseAddress(url, deps).catch((error: unknown) => {
    throw deps.signal.aborted ? reasonOf(deps.signal) : error;
  });
  if (deps.signal.aborted) throw reasonOf(deps.signal);
  const isExempt = kind === 'exempt';
  const socket = await connected(startSocket(url, address), url, deps).catch((error: unknown) => {
    throw deps.signal.aborted ? reasonOf(deps.signal) : namedConnectionError(error, { ...deps, isExempt });
  });
  assertRemote(socket, address, url);
  return { socket, isExempt };
}

/**
 * The name is used for the certificate only. TLS sessions are not resumed, since that would skip the certificate check.
 */
function startSocket(url: URL, address: string): Socket {
  const to = { host: address, port: portOf(url) };
  if (url.protocol !== 'https:') return connectTcp(to);
  const host = hostOf(url);
  return connectTls({ ...to, ALPNProtocols: ['http/1.1'], ...(isIP(host) === 0 && { servername: host }) });
}

async function connected(socket: Socket, url: URL, { connectMs, signal }: Dependencies): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  // The reader handles errors after the connection, and reads them from the socket.
  socket.on('error', reject);
  socket.once('close', () => reject(new Error('The connection was closed.')));
  socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => resolve(socket));
  const timer = setTimeout(() => socket.destroy(new ConnectTimeout()), connectMs);
  const stop = () => socket.destroy(reasonOf(signal));
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

/** Checks the address that the socket actually connected to, regardless of the layers between. */
function assertRemote(socket: Socket, address: string, url: URL): void {
  const { remoteAddress } = socket;
  // The socket may already be closed; its reader reports that.
  if (remoteAddress === undefined || unmapped(parseAddress(remoteAddress)).toString() === address) return;
  socket.destroy();
  throw addressRefused(url, `the connection went to ${remoteAddress}, and not to ${address}`);
}

/**
 * The one address to connect to. Every address behind a name must be allowed: a name with a good and a bad one would
 * otherwise need only a little luck.
 * @throws {AppError} `address_not_allowed` or `source_unavailable`.
 */
export async function chooseAddress(
  url: URL,
  deps: Omit<Dependencies, 'connectMs'>,
): Promise<AllowedAddress> {
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
