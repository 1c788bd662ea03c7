import type { Socket } from 'node:net';
import type { AppError } from '../../errors.ts';
import { securityHeaders } from '../guard/security-headers.ts';
import { toProblem } from './problems.ts';

/** How long the connection stays open for the client to read the response. */
const lingerMs = 1_000;

/**
 * Sends an error as the last response on a connection whose request Fastify does not handle, or can no longer handle. If
 * a response is already being sent, it is too late for an error response, so the connection is only closed.
 * @param isHead whether it is the response to a HEAD request, for which clients expect no body
 */
export function sendRawProblem(socket: Socket, error: AppError, isHead = false): void {
  if (!socket.writable || socket.writableLength > 0) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(toProblem(error));
  const headers = {
    connection: 'close',
    'content-type': 'application/problem+json',
    ...securityHeaders,
    'content-length': Buffer.byteLength(body),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${error.status} ${error.title}\r\n${lines.join('')}\r\n${isHead ? '' : body}`);
  // A client that keeps sending, or never closes its side, would keep the connection open.
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.once('close', () => clearTimeout(timer));
}
