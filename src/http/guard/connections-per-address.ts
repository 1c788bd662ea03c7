import { BlockList, isIP, type Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import ipaddr from 'ipaddr.js';
import { AppError } from '../../errors.ts';

/** Loopback connections are trusted, because they come from a local proxy or from the operator. */
const loopbackNetworks = ['127.0.0.0/8', '::1/128'] as const;

/** Tests whether an IP address, as reported by a socket, belongs to a group of addresses. */
export type AddressTest = (address: string) => boolean;

/** Returns a test that matches loopback addresses and addresses in `trustedProxies` (networks in CIDR notation). */
export function makeTrustedTest(trustedProxies: readonly string[]): AddressTest {
  return makeAddressTest([...loopbackNetworks, ...trustedProxies]);
}

/**
 * Returns a test that matches addresses in `networks`, which are in CIDR notation. IPv4-mapped IPv6 addresses count as
 * IPv4. Text that is not an address never matches.
 */
export function makeAddressTest(networks: readonly string[]): AddressTest {
  const list = new BlockList();
  for (const network of networks) {
    const [base = '', bits] = network.split('/');
    list.addSubnet(base, Number(bits), isIP(base) === 6 ? 'ipv6' : 'ipv4');
  }
  return (address) => {
    const family = isIP(address);
    return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
  };
}

interface Options {
  readonly maxConnections: number;
  /** Matches addresses that are exempt from the limit, because they are trusted or are shared by many clients. */
  readonly isExemptFromLimit: AddressTest;
}

/**
 * Number of excess connections per address that get an error response. Any further connections are closed immediately.
 */
const maxRejectedConnections = 16;

/**
 * Limits concurrent connections per address, so that one client cannot exhaust the server's connections. IPv6 addresses
 * are counted by /64 network, because a single customer usually has a whole /64 network. Connections beyond the limit
 * get 429 `too_many_connections` on their first request.
 */
export function limitConnectionsPerAddress(
  app: FastifyInstance,
  { maxConnections, isExemptFromLimit }: Options,
): void {
  const counts = new Map<string, number>();
  const rejectedSockets = new WeakSet<Socket>();

  app.server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket;
    // The address is undefined if the socket is already closed.
    if (remoteAddress === undefined || isExemptFromLimit(remoteAddress)) return;
    const key = toAddressKey(remoteAddress);
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    socket.once('close', () => releaseConnection(key));
    if (count > maxConnections + maxRejectedConnections) socket.destroy();
    else if (count > maxConnections) rejectedSockets.add(socket);
  });

  function releaseConnection(key: string): void {
    const remaining = (counts.get(key) ?? 1) - 1;
    if (remaining > 0) counts.set(key, remaining);
    else counts.delete(key);
  }

  app.addHook('onRequest', (request, reply, done) => {
    if (!rejectedSockets.has(request.raw.socket)) return done();
    void reply.header('connection', 'close');
    done(tooManyConnectionsError(maxConnections));
  });
}

/**
 * Returns the key under which an address is counted: the address itself or, for IPv6, its /64 network. A forwarded address may
 * have a port. Text that is not an address counts as one address.
 */
export function toAddressKey(remoteAddress: string): string {
  const text = remoteAddress.replace(/^\[(.*)\](?::\d+)?$|^([\d.]+):\d+$/, '$1$2').replace(/%.*$/, '');
  if (isIP(text) === 0) return 'unknown';
  const address = ipaddr.process(text);
  if (address instanceof ipaddr.IPv4) return address.toString();
  return `${address.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}

function tooManyConnectionsError(maximum: number): AppError {
  return new AppError(
    'too_many_connections',
    `Your address has more than ${maximum} open connections; close some, or reuse a connection for several requests.`,
  );
}
