import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** A web server on loopback from which tests import pictures. */
export interface PictureOrigin {
  /** Starts serving `bytes` as a JPEG. Returns the URL. */
  serve(name: string, bytes: Buffer): string;
}

/** Starts an origin for one test. */
export async function startPictureOrigin(): Promise<PictureOrigin> {
  const pictures = new Map<string, Buffer>();
  const server = createServer(({ url = '' }, response) => {
    const bytes = pictures.get(url);
    if (bytes) response.setHeader('content-type', 'image/jpeg').end(bytes);
    else response.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    serve(name, bytes) {
      const path = `/${encodeURIComponent(name)}.jpg`;
      pictures.set(path, bytes);
      return `http://127.0.0.1:${port}${path}`;
    },
  };
}
