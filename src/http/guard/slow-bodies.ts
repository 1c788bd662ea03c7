import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { AppError } from '../../errors.ts';
import { sendRawProblem } from '../responses/raw-problem.ts';

interface Options {
  /** Minimum average rate, in bytes per second; 0 means no minimum. */
  readonly minBytesPerSecond: number;
  /** Time at the start of a body in which the rate does not matter. */
  readonly graceMs: number;
}

/** A request whose body is arriving. */
interface IncomingBody {
  readonly response: ServerResponse;
  /** Bytes that the connection had received before this request. */
  readonly bytesBefore: number;
  /** Time spent waiting for the client. Time in which the server did not read does not count. */
  waitedMs: number;
}

/** Number of checks within the grace period. */
const checksPerGrace = 10;

/**
 * Rejects bodies that arrive more slowly than the minimum rate, with 408. Otherwise, a client could hold a connection, and
 * the resources of an upload, for the whole time limit of a request by sending a few bytes now and then.
 */
export function rejectSlowBodies(app: FastifyInstance, { minBytesPerSecond, graceMs }: Options): void {
  if (minBytesPerSecond === 0) return;
  const intervalMs = graceMs / checksPerGrace;
  const incomingBodies = new Map<IncomingMessage, IncomingBody>();
  /** Bytes that a connection had received at the end of its last request. */
  const bytesAtEnd = new WeakMap<Socket, number>();

  app.server.on('request', (request, response) => {
    // The header `Transfer-Encoding` or `Content-Length` announces a body (RFC 9112 §6.3).
    const { 'transfer-encoding': encoding, 'content-length': length } = request.headers;
    const { socket } = request;
    if (encoding === undefined && (length === undefined || Number(length) === 0)) {
      bytesAtEnd.set(socket, socket.bytesRead);
      return;
    }
    incomingBodies.set(request, { response, bytesBefore: bytesAtEnd.get(socket) ?? 0, waitedMs: 0 });
    const forget = () => {
      incomingBodies.delete(request);
      bytesAtEnd.set(socket, socket.bytesRead);
    };
    request.once('end', forget).once('close', forget);
  });

  function check(request: IncomingMessage, body: IncomingBody): void {
    if (!isWaitingForClient(request)) return;
    body.waitedMs += intervalMs;
    const bytes = request.socket.bytesRead - body.bytesBefore;
    if (body.waitedMs <= graceMs || bytes >= (minBytesPerSecond * body.waitedMs) / 1_000) return;
    incomingBodies.delete(request);
    const error = slowBodyError(bytes, body.waitedMs, minBytesPerSecond);
    app.log.info({ bytes, waitedMs: body.waitedMs }, `rejected: ${error.message}`);
    if (body.response.headersSent) request.socket.destroy();
    else sendRawProblem(request.socket, error);
  }

  const timer = setInterval(() => {
    for (const [request, body] of incomingBodies) check(request, body);
  }, intervalMs).unref();
  app.addHook('onClose', (_app, done) => {
    clearInterval(timer);
    done();
  });
}

/** Whether the server has read everything that has arrived. Otherwise, the server is the one that is slow. */
function isWaitingForClient(request: IncomingMessage): boolean {
  return !request.complete && !request.isPaused() && request.readableLength === 0;
}

function slowBodyError(bytes: number, waitedMs: number, minBytesPerSecond: number): AppError {
  return new AppError(
    'request_timeout',
    `The body arrives too slowly: ${bytes} bytes in ${Math.round(waitedMs / 1_000)} s; the minimum is ${minBytesPerSecond} bytes per second (MIN_UPLOAD_BYTES_PER_SECOND).`,
  );
}
