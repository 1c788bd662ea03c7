import { Agent, request as send } from 'node:http';
import type { ApiResponse } from '../../support/process/client.ts';
import { waitTimeoutMs } from '../../support/time-scale.ts';

/** A raw request. */
export interface Request {
  readonly method: string;
  /** Path and query, which are sent unchanged. A client that normalizes URLs would change some targets. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
}

const concurrency = 8;

const agent = new Agent({ keepAlive: true, maxSockets: concurrency });

/** Sends a request and reads the whole response. */
export function sendRequest(
  baseUrl: string,
  { method, target, headers, body }: Request,
): Promise<ApiResponse<unknown>> {
  const { hostname, port } = new URL(baseUrl);
  const { promise, resolve, reject } = Promise.withResolvers<ApiResponse<unknown>>();
  const length = body && { 'content-length': String(body.length) };
  const outgoing = send(
    {
      agent,
      hostname,
      port,
      method,
      path: target,
      headers: { ...headers, ...length },
      timeout: waitTimeoutMs,
    },
    (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.once('error', reject);
      incoming.once('end', () =>
        resolve(makeResponse(incoming.statusCode ?? 0, incoming.rawHeaders, Buffer.concat(chunks))),
      );
    },
  );
  outgoing.once('error', reject);
  outgoing.once('timeout', () =>
    outgoing.destroy(new Error(`No response within ${waitTimeoutMs / 1_000} s.`)),
  );
  outgoing.end(body);
  return promise;
}

function makeResponse(status: number, rawHeaders: readonly string[], bytes: Buffer): ApiResponse<unknown> {
  const headers = new Headers();
  for (let i = 0; i < rawHeaders.length; i += 2) headers.append(rawHeaders[i] ?? '', rawHeaders[i + 1] ?? '');
  return {
    status,
    headers,
    bytes,
    get body() {
      return JSON.parse(bytes.toString('utf8')) as unknown;
    },
  };
}

/** Calls `work` for every item, eight at a time. */
export async function forEachConcurrently<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const remainingItems = items.values();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (const item of remainingItems) await work(item);
    }),
  );
}

/** Describes a request in one line, so that it can be reproduced. */
export function describeRequest({ method, target, headers, body }: Request): string {
  const bodyText = body
    ? ` body(${body.length}) ${JSON.stringify(Buffer.from(body).toString('utf8', 0, 300))}`
    : '';
  return `${method} ${target.slice(0, 400)} ${JSON.stringify(headers)}${bodyText}`;
}
