import { createHash } from 'node:crypto';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { services } from '../../../support/services.ts';

/** A fault that the proxy injects into a request. */
export type Fault =
  | 'none'
  | 'error 500'
  | 'error 503'
  | 'no response'
  | 'stalled body'
  | 'truncated body'
  | 'no conditional writes'
  | 'concurrent writer'
  | 'corrupted bodies'
  | 'quota';

/** A proxy that injects faults on demand. */
export interface Proxy {
  readonly url: string;
  /** The responses so far, such as `GET 200`. */
  readonly responses: string[];
  /** Returns the number of conditional requests so far. */
  readonly conditionalRequests: () => number;
  /** Returns the number of open connections. */
  readonly openConnections: () => number;
  /** Injects a fault into requests that match `when`, at most `times` times. */
  fault(kind: Fault, when?: (request: IncomingMessage) => boolean, times?: number): void;
  /** Refuses connections until `up` is called. */
  down(): Promise<void>;
  up(): Promise<void>;
}

/** Starts a proxy in front of the test store, for one test. */
export async function startProxy(): Promise<Proxy> {
  let [kind, remaining]: [Fault, number] = ['none', Number.POSITIVE_INFINITY];
  let matches: (request: IncomingMessage) => boolean = () => true;
  const responses: string[] = [];
  const sockets = new Set<Socket>();
  let conditionalCount = 0;
  const agent = new Agent({ keepAlive: true });

  const server = createServer((incoming, outgoing) => {
    if (incoming.headers['if-none-match'] !== undefined) conditionalCount += 1;
    outgoing.once('finish', () => responses.push(`${incoming.method} ${outgoing.statusCode}`));
    const isFaulty = kind !== 'none' && remaining > 0 && matches(incoming);
    if (isFaulty) remaining -= 1;
    void handle(isFaulty ? kind : 'none', incoming, outgoing, agent).catch(() => outgoing.destroy());
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const listen = (port: number) =>
    new Promise<void>((resolve) => server.listen(port, '127.0.0.1', () => resolve()));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const down = async () => {
    const closing = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closing;
  };
  onTestFinished(async () => {
    agent.destroy();
    if (server.listening) await down();
  });
  return {
    url: `http://127.0.0.1:${port}`,
    responses,
    conditionalRequests: () => conditionalCount,
    openConnections: () => sockets.size,
    fault(nextKind, when = () => true, times = Number.POSITIVE_INFINITY) {
      [kind, matches, remaining] = [nextKind, when, times];
    },
    down,
    up: () => listen(port),
  };
}

async function handle(fault: Fault, incoming: IncomingMessage, outgoing: ServerResponse, agent: Agent) {
  const isConditional = incoming.headers['if-none-match'] !== undefined;
  if (fault === 'no response') return void incoming.resume();
  if (fault === 'error 500') return sendError(incoming, outgoing, 500, 'InternalError');
  if (fault === 'error 503') return sendError(incoming, outgoing, 503, 'SlowDown');
  if (fault === 'quota') return sendError(incoming, outgoing, 403, 'QuotaExceeded');
  if (fault === 'no conditional writes' && isConditional)
    return sendError(incoming, outgoing, 501, 'NotImplemented');
  if (fault === 'concurrent writer' && isConditional)
    return sendError(incoming, outgoing, 409, 'ConditionalRequestConflict');
  const body = await buffer(incoming);
  if (fault === 'corrupted bodies') corrupt(body);
  if (incoming.method === 'PUT' && !hasValidChecksum(incoming, body)) {
    return sendError(incoming, outgoing, 400, 'BadDigest');
  }
  const response = await forward(incoming, body, agent);
  await respond(fault, incoming, response, outgoing);
}

function forward(incoming: IncomingMessage, body: Buffer, agent: Agent): Promise<IncomingMessage> {
  const { method, url, headers } = incoming;
  const target = new URL(url ?? '/', services.s3Endpoint);
  return new Promise((resolve, reject) => {
    request(target, { method, headers, agent }, resolve).once('error', reject).end(body);
  });
}

async function respond(
  fault: Fault,
  incoming: IncomingMessage,
  response: IncomingMessage,
  outgoing: ServerResponse,
) {
  const body = await buffer(response);
  const isFile =
    incoming.method === 'GET' && response.statusCode === 200 && !incoming.url?.includes('list-type');
  const checksum = isFile ? { 'x-amz-checksum-sha256': sha256(body) } : {};
  outgoing.writeHead(response.statusCode ?? 500, { ...response.headers, ...checksum });
  if (fault === 'corrupted bodies') corrupt(body);
  if (fault !== 'stalled body' && fault !== 'truncated body') return void outgoing.end(body);
  outgoing.write(body.subarray(0, body.length / 2), () => {
    if (fault === 'truncated body') outgoing.destroy();
  });
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('base64');

function corrupt(body: Buffer): void {
  if (body.length > 0) body[body.length >> 1] = (body[body.length >> 1] ?? 0) ^ 1;
}

/** Verifies an upload's checksum, as a store does before it saves the body. */
function hasValidChecksum({ headers }: IncomingMessage, body: Buffer): boolean {
  const declaredChecksum = headers['x-amz-checksum-sha256'];
  return declaredChecksum === undefined || declaredChecksum === sha256(body);
}

function sendError(incoming: IncomingMessage, outgoing: ServerResponse, status: number, code: string): void {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>Injected fault</Message></Error>`;
  const send = () => outgoing.writeHead(status, { 'content-type': 'application/xml' }).end(body);
  if (incoming.readableEnded) send();
  else incoming.once('end', send).resume();
}
