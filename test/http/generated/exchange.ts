import { Agent, request as send } from 'node:http';
import type { Answer } from '../../support/process/client.ts';
import { patienceMs } from '../../support/time-scale.ts';

/** A request, as it goes out. */
export interface Request {
  readonly method: string;
  /** Path and query, spelled as they are sent: a client that tidies addresses would spoil the odd ones. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
}

/** Requests that are under way at once. */
const lanes = 8;

const agent = new Agent({ keepAlive: true, maxSockets: lanes });

/** Sends a request and reads the whole answer. */
export function exchange(base: string, { method, target, headers, body }: Request): Promise<Answer<unknown>> {
  const { hostname, port } = new URL(base);
  const { promise, resolve, reject } = Promise.withResolvers<Answer<unknown>>();
  const length = body && { 'content-length': String(body.length) };
  const outgoing = send(
    { agent, hostname, port, method, path: target, headers: { ...headers, ...length }, timeout: patienceMs },
    (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.once('error', reject);
      incoming.once('end', () =>
        resolve(answerOf(incoming.statusCode ?? 0, incoming.rawHeaders, Buffer.concat(chunks))),
      );
    },
  );
  outgoing.once('error', reject);
  outgoing.once('timeout', () => outgoing.destroy(new Error('No answer within 20 s.')));
  outgoing.end(body);
  return promise;
}

function answerOf(status: number, raw: readonly string[], bytes: Buffer): Answer<unknown> {
  const headers = new Headers();
  for (let at = 0; at < raw.length; at += 2) headers.append(raw[at] ?? '', raw[at + 1] ?? '');
  return {
    status,
    headers,
    bytes,
    get body() {
      return JSON.parse(bytes.toString('utf8')) as unknown;
    },
  };
}

/** Does `work` for all, a few at once. */
export async function inLanes<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const left = items.values();
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (const item of left) await work(item);
    }),
  );
}

/** A request in one line, for whoever has to send it again. */
export function showRequest({ method, target, headers, body }: Request): string {
  const shown = body
    ? ` body(${body.length}) ${JSON.stringify(Buffer.from(body).toString('utf8', 0, 300))}`
    : '';
  return `${method} ${target.slice(0, 400)} ${JSON.stringify(headers)}${shown}`;
}
