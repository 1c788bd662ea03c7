import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { codeOf, cutBody, idlePassed, namedBodyError } from './source-errors.ts';

/**
 * The body of a response; closing it closes the connection. Its errors are mapped to named ones.
 * @param idleMs longest pause of the server; time that the reader takes does not count
 */
export function readBody(response: IncomingMessage, idleMs: number): Readable {
  const { socket } = response;
  const announced = response.headers['transfer-encoding'] ? undefined : response.headers['content-length'];
  let received = 0;
  const body = new Readable({
    read: () => void response.resume(),
    destroy(error, done) {
      response.destroy();
      socket.destroy();
      done(error);
    },
  });
  response.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (!body.push(chunk)) response.pause();
  });
  response.once('end', () => void body.push(null));
  // Node reports every early end as a reset; only the socket shows whether the connection broke.
  const fail = (error: Error) => {
    const isEarlyEnd = codeOf(error) === 'ECONNRESET' && !socket.errored;
    body.destroy(isEarlyEnd ? cutBody(received, announced) : namedBodyError(error));
  };
  if (response.errored) fail(response.errored);
  else response.once('error', fail);
  socket.setTimeout(idleMs, () => {
    if (response.isPaused()) socket.setTimeout(idleMs);
    else body.destroy(idlePassed(idleMs));
  });
  // An error may occur before the reader listens; the stream keeps it.
  body.on('error', () => {});
  return body;
}
