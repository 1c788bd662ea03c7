import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type Answer, decode, encode } from 'dns-packet';

/** What a name answers: records, nothing at all, or an error code of DNS (3 is "no such name"). */
export type DnsReply = readonly Answer[] | 'silence' | number;

/** Decides on the `nth` question (from 1) for one type of one name. */
export type DnsScript = (type: 'A' | 'AAAA', nth: number) => DnsReply;

/** A name server on loopback. */
export interface DnsServer {
  /** As a resolver takes it. */
  readonly address: string;
  /** How often `name` was asked for `type`. */
  asked(name: string, type: 'A' | 'AAAA'): number;
  close(): void;
}

/** Answers for the names of `scripts`, and "no such name" for all others. */
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
    if (reply === 'silence') return;
    const [flags, answers] = typeof reply === 'number' ? [reply, []] : [0, [...reply]];
    socket.send(encode({ type: 'response', id, flags, questions, answers }), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked: (name, type) => counts.get(`${type} ${name}`) ?? 0,
    close: () => socket.close(),
  };
}

/** A name with fixed addresses; IPv6 ones have a colon. */
export function fixed(name: string, ...addresses: readonly string[]): DnsScript {
  return (type) =>
    addresses
      .filter((address) => address.includes(':') === (type === 'AAAA'))
      .map((data) => ({ type, name, data, ttl: 0 }) as const);
}
