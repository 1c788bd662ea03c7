import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type Answer, decode, encode } from 'dns-packet';

/** The reply to a query: records, no response at all, or a DNS error code such as 3 (NXDOMAIN). */
export type DnsReply = readonly Answer[] | 'no response' | number;

/** Returns the reply to the `nth` query (counted from 1) of one type for one name. */
export type DnsScript = (type: 'A' | 'AAAA', nth: number) => DnsReply;

/** A DNS server on loopback. */
export interface DnsServer {
  /** Address and port, as a resolver expects them. */
  readonly address: string;
  /** Returns the number of queries for `name` and `type`. */
  countQueries(name: string, type: 'A' | 'AAAA'): number;
  close(): void;
}

/** Starts a server for the names in `scripts`. It returns NXDOMAIN for all other names. */
export async function serveDns(scripts: Readonly<Record<string, DnsScript>>): Promise<DnsServer> {
  const counts = new Map<string, number>();
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => {
    const { id, questions = [] } = decode(message);
    const [{ name, type } = { name: '', type: 'A' }] = questions;
    const key = `${type} ${name}`;
    const nth = (counts.get(key) ?? 0) + 1;
    counts.set(key, nth);
    const reply = scripts[name.toLowerCase()]?.(type as 'A', nth) ?? 3;
    if (reply === 'no response') return;
    const [flags, answers] = typeof reply === 'number' ? [reply, []] : [0, [...reply]];
    socket.send(encode({ type: 'response', id, flags, questions, answers }), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    countQueries: (name, type) => counts.get(`${type} ${name}`) ?? 0,
    close: () => socket.close(),
  };
}

/** Returns a script that resolves `name` to the given IPv4 or IPv6 addresses. */
export function makeAddressScript(name: string, ...addresses: readonly string[]): DnsScript {
  return (type) =>
    addresses
      .filter((address) => address.includes(':') === (type === 'AAAA'))
      .map((data) => ({ type, name, data, ttl: 0 }) as const);
}
