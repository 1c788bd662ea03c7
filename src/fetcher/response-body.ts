import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { BodyFraming } from './body-framing.ts';
import { cutBody, idlePassed, namedBodyError } from './source-errors.ts';

/**
 * The body that comes over `socket`, which is closed with it. Its errors are named.
 * @param rest bytes of the body that came with the head
 * @param idleMs longest pause of the server; time that the reader takes does not count
 */
export function readBody(socket: Socket, framing: BodyFraming, rest: Buffer, idleMs: number): Readable {
  let received = 0;
  let isComplete = false;
  const body = new Readable({
    read: () => void socket.resume(),
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });

  function take(chunk: Buffer): void {
    try {
      for (const part of framing.take(chunk)) {
        received += part.length;
        if (part.length > 0 && !body.push(part)) socket.pause();
      }
    } catch (error) {
      body.destroy(error as Error);
      return;
    }
    if (framing.isComplete(false)) finish();
  }

  function finish(): void {
    isComplete = true;
    socket.off('data', take);
    body.push(null);
    socket.destroy();
  }

  function ended(): void {
    if (isComplete || body.destroyed) return;
    if (socket.errored) body.destroy(namedBodyError(socket.errored));
    else if (framing.isComplete(true)) finish();
    else body.destroy(cutBody(received, framing.announced));
  }

  socket.on('data', take);
  socket.once('end', ended);
  socket.once('close', ended);
  socket.setTimeout(idleMs, () => {
    if (!socket.isPaused()) body.destroy(idlePassed(idleMs));
    else socket.setTimeout(idleMs);
  });
  // An error may come before the reader listens; the stream keeps it for him.
  body.on('error', () => {});
  take(rest);
  if (socket.destroyed) ended();
  return body;
}
