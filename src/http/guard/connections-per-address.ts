import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import ipaddr from 'ipaddr.js';
import { AppError } from '../../errors.ts';
import type { AddressTest } from '../trusted-proxies.ts';

interface Bound {
  /** Concurrent connections per address. */
  readonly most: number;
  /** Addresses that stand for many clients or are trusted: they are not counted. */
  readonly isExempt: AddressTest;
}

/** This many connections beyond the limit get an error response; further ones are closed immediately. */
const maxReturned = 16;

/**
 * Limits concurrent connections per address, so that one client cannot exhaust the server's connections. IPv6 counts by
 * /64, since every customer can use any number of addresses within one. Connections beyond the limit get 429
 * `too_many_connections` on their first request.
 */
export function boundConnections(app: FastifyInstance, { most, isExempt }: Bound): void {
  const counts = new Map<string, number>();
  const refused = new WeakSet<Socket>();

  app.server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket;
    // Undefined: already closed.
    if (remoteAddress === undefined || isExempt(remoteAddress)) return;
    const client = clientOf(remoteAddress);
    const count = (counts.get(client) ?? 0) + 1;
    counts.set(client, count);
    socket.once('close', () => release(client));
    if (count > most + maxReturned) socket.destroy();
    else if (count > most) refused.add(socket);
  });

  function release(client: string): void {
    const left = (counts.get(client) ?? 1) - 1;
    if (left > 0) counts.set(client, left);
    else counts.delete(client);
  }

  app.addHook('onRequest', (request, reply, done) => {
    if (!refused.has(request.raw.socket)) return done();
    void reply.header('connection', 'close');
    done(tooMany(most));
  });
}

/** The key under which an address is counted. */
export function clientOf(remoteAddress: string): string {
  const address = ipaddr.process(remoteAddress.replace(/%.*$/, ''));
  if (address instanceof ipaddr.IPv4) return address.toString();
  return `${address.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}

function tooMany(most: number): AppError {
  return new AppError(
    'too_many_connections',
    `Your address has more than ${most} connections open; close some, or use one for several requests.`,
  );
}
