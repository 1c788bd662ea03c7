import type { Socket } from 'node:net';
import { buildConnector } from 'undici';
import { type AddressRules, parseAddress, unmapped } from './address-rules.ts';
import { chooseAddress } from './choose-address.ts';
import { addressRefused } from './refusals.ts';
import type { ResolveHost } from './resolve-host.ts';
import { reasonOf } from './source-errors.ts';

/** What a guarded connector is told once for each download. */
interface Parts {
  readonly rules: AddressRules;
  readonly resolveHost: ResolveHost;
  /** Longest time for a connection with its handshake, in milliseconds. */
  readonly connectMs: number;
  readonly signal: AbortSignal;
}

/**
 * Opens connections to allowed addresses only. The check lies here and not before, because nothing comes between it
 * and the connection: the name is resolved once, and the socket goes to the address that was judged.
 */
export function makeGuardedConnector(parts: Parts): buildConnector.connector {
  const connect = buildConnector({
    timeout: parts.connectMs,
    allowH2: false,
    // A session of TLS that is taken up again would skip the check of the certificate.
    maxCachedSessions: 0,
    signal: parts.signal,
  });
  return (options, callback) => void answer(openSocket(connect, options, parts), callback);
}

/** Hands what became of `opening` to a callback. */
async function answer(opening: Promise<Socket>, callback: buildConnector.Callback): Promise<void> {
  const opened = await opening.catch((error: unknown) => error as Error);
  if (opened instanceof Error) callback(opened, null);
  else callback(null, opened);
}

async function openSocket(
  connect: buildConnector.connector,
  options: buildConnector.Options,
  parts: Parts,
): Promise<Socket> {
  const address = await chooseAddress(options, parts);
  if (parts.signal.aborted) throw reasonOf(parts.signal);
  const socket = await connected(connect, pinned(options, address));
  assertRemote(socket, address, options.hostname);
  return socket;
}

/** The name stays for the certificate only; without TLS undici would hand it to the socket. */
function pinned(options: buildConnector.Options, address: string): buildConnector.Options {
  const { servername, ...others } = options;
  const isNamed = options.protocol === 'https:' && servername;
  return { ...others, hostname: address, ...(isNamed && { servername }) };
}

function connected(connect: buildConnector.connector, options: buildConnector.Options): Promise<Socket> {
  return new Promise((resolve, reject) => {
    connect(options, (error, socket) => (error ? reject(error) : resolve(socket)));
  });
}

/** Asks the socket itself where it went, whatever lies between the check and the system. */
function assertRemote(socket: Socket, address: string, hostname: string): void {
  const { remoteAddress } = socket;
  // The socket may be closed again already; undici finds that out.
  if (remoteAddress === undefined || unmapped(parseAddress(remoteAddress)).toString() === address) return;
  socket.destroy();
  throw addressRefused(hostname, 'another network than the one that was checked');
}
