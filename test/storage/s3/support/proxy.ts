import { createHash } from 'node:crypto';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { services } from '../../../support/services.ts';

/** What the proxy does to a request. */
export type Fault =
  | 'none'
  | 'error 500'
  | 'error 503'
  | 'silent'
  | 'silent in the body'
  | 'cut in the body'
  | 'knows no conditions'
  | 'another writer'
  | 'damages bodies'
  | 'quota';

/** A proxy that injects faults on demand. */
export interface Proxy {
  readonly url: string;
  /** Responses so far, as method and status. */
  readonly answered: string[];
  /** Conditional requests. */
  readonly conditions: () => number;
  readonly sockets: () => number;
  /** Injects a fault from now on; `when` limits it to some requests, `times` to the next ones. */
  fault(kind: Fault, when?: (request: IncomingMessage) => boolean, times?: number): void;
  /** Refuses connections, until `up`. */
  down(): Promise<void>;
  up(): Promise<void>;
}

/** Starts a proxy in front of the test store, for one test. */
export async function startProxy(): Promise<Proxy> {
  let [kind, left]: [Fault, number] = ['none', Number.POSITIVE_INFINITY];
  let applies: (request: IncomingMessage) => boolean = () => true;
  const [answered, open]: [string[], Set<Socket>] = [[], new Set()];
  let conditional = 0;
  const agent = new Agent({ keepAlive: true });

  const server = createServer((incoming, outgoing) => {
    if (incoming.headers['if-none-match'] !== undefined) conditional += 1;
    outgoing.once('finish', () => answered.push(`${incoming.method} ${outgoing.statusCode}`));
    const isFaulty = kind !== 'none' && left > 0 && applies(incoming);
    if (isFaulty) left -= 1;
    void handle(isFaulty ? kind : 'none', incoming, outgoing, agent).catch(() => outgoing.destroy());
  });
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  const listen = (port: number) =>
    new Promise<void>((resolve) => server.listen(port, '127.0.0.1', () => resolve()));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const down = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of open) socket.destroy();
    await closed;
  };
  onTestFinished(async () => {
    agent.destroy();
    if (server.listening) await down();
  });
  return {
    url: `http://127.0.0.1:${port}`,
    answered,
    conditions: () => conditional,
    sockets: () => open.size,
    fault(next, when = () => true, times = Number.POSITIVE_INFINITY) {
      [kind, applies, left] = [next, when, times];
    },
    down,
    up: () => listen(port),
  };
}

async function handle(fault: Fault, incoming: IncomingMessage, outgoing: ServerResponse, agent: Agent) {
  const isConditional = incoming.headers['if-none-match'] !== undefined;
  if (fault === 'silent') return void incoming.resume();
  if (fault === 'error 500') return refuse(incoming, outgoing, 500, 'InternalError');
  if (fault === 'error 503') return refuse(incoming, outgoing, 503, 'SlowDown');
  if (fault === 'quota') return refuse(incoming, outgoing, 403, 'QuotaExceeded');
  if (fault === 'knows no conditions' && isConditional)
    return refuse(incoming, outgoing, 501, 'NotImplemented');
  if (fault === 'another writer' && isConditional)
    return refuse(incoming, outgoing, 409, 'ConditionalRequestConflict');
  const body = await buffer(incoming);
  if (fault === 'damages bodies') damage(body);
  if (incoming.method === 'PUT' && !isSound(incoming, body)) {
    return refuse(incoming, outgoing, 400, 'BadDigest');
  }
  const answer = await forward(incoming, body, agent);
  await give(fault, incoming, answer, outgoing);
}

function forward(incoming: IncomingMessage, body: Buffer, agent: Agent): Promise<IncomingMessage> {
  const { method, url, headers } = incoming;
  const target = new URL(url ?? '/', services.s3Endpoint);
  return new Promise((resolve, reject) => {
    request(target, { method, headers, agent }, resolve).once('error', reject).end(body);
  });
}

async function give(
  fault: Fault,
  incoming: IncomingMessage,
  answer: IncomingMessage,
  outgoing: ServerResponse,
) {
  const body = await buffer(answer);
  const isFile =
    incoming.method === 'GET' && answer.statusCode === 200 && !incoming.url?.includes('list-type');
  const checksum = isFile ? { 'x-amz-checksum-sha256': sha256(body) } : {};
  outgoing.writeHead(answer.statusCode ?? 500, { ...answer.headers, ...checksum });
  if (fault === 'damages bodies') damage(body);
  if (fault !== 'silent in the body' && fault !== 'cut in the body') return void outgoing.end(body);
  outgoing.write(body.subarray(0, body.length / 2), () => {
    if (fault === 'cut in the body') outgoing.destroy();
  });
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('base64');

function damage(body: Buffer): void {
  if (body.length > 0) body[body.length >> 1] = (body[body.length >> 1] ?? 0) ^ 1;
}

/** The headers that a store checks before it keeps a body. */
function isSound({ headers }: IncomingMessage, body: Buffer): boolean {
  const told = headers['x-amz-checksum-sha256'];
  return told === undefined || told === sha256(body);
}

function refuse(incoming: IncomingMessage, outgoing: ServerResponse, status: number, code: string): void {
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>because</Message></Error>`;
  const answer = () => outgoing.writeHead(status, { 'content-type': 'application/xml' }).end(body);
  if (incoming.readableEnded) answer();
  else incoming.once('end', answer).resume();
}
