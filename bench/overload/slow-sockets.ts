import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Sockets that send as slowly as they can. */
export interface SlowPlan {
  readonly url: string;
  readonly key: string;
  readonly seconds: number;
  readonly sockets: number;
  /** Time in which the sockets are opened. */
  readonly openingSeconds: number;
  /** The address from which the sockets connect. */
  readonly localAddress: string;
}

/** Interval between two bytes of a socket. It is shorter than any limit on pauses. */
const byteIntervalMs = 1_000;

/**
 * Keeps sockets open: half of them never finish their headers, and the others never finish their body. Reopens closed ones. The
 * sockets open one after the other: if all of them did so in the same millisecond, they would also be closed and reopened
 * together, and the benchmark would measure bursts of connections instead.
 */
export async function holdSlowSockets(plan: SlowPlan): Promise<{ readonly reopened: number }> {
  const { port, hostname } = new URL(plan.url);
  const deadline = performance.now() + plan.seconds * 1000;
  let reopened = 0;

  async function hold(index: number): Promise<void> {
    await sleep((plan.openingSeconds * 1000 * index) / plan.sockets);
    while (performance.now() < deadline) {
      const socket = connect({ host: hostname, port: Number(port), localAddress: plan.localAddress });
      socket.on('error', () => undefined).resume();
      socket.write(
        index % 2 === 0 ? 'POST /v1/images HTTP/1.1\r\nhost: localhost\r\nx-slow: ' : bodyHead(plan.key),
      );
      await drip(socket, deadline);
      socket.destroy();
      if (performance.now() < deadline) reopened += 1;
    }
  }

  await Promise.all(Array.from({ length: plan.sockets }, (_, index) => hold(index)));
  return { reopened };
}

function bodyHead(key: string): string {
  return `POST /v1/images HTTP/1.1\r\nhost: localhost\r\nx-api-key: ${key}\r\ncontent-type: multipart/form-data; boundary=slow\r\ncontent-length: 20000\r\n\r\n--slow\r\ncontent-disposition: form-data; name="file"; filename="slow.jpg"\r\n\r\n`;
}

/** Sends single bytes until the server closes the connection or the time is over. */
async function drip(socket: Socket, deadline: number): Promise<void> {
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  while (performance.now() < deadline && !socket.destroyed) {
    await Promise.race([closed, sleep(Math.min(byteIntervalMs, Math.max(0, deadline - performance.now())))]);
    socket.write('x');
  }
}
