import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll } from 'vitest';

/** A web server on loopback that gives files by their paths, for all tests of a file; answers its address. */
export function useOrigin(files: () => Promise<Readonly<Record<string, Buffer>>>): () => string {
  let made: Readonly<Record<string, Buffer>> = {};
  const server = createServer((request, response) => {
    const file = made[request.url ?? ''];
    response.statusCode = file ? 200 : 404;
    response.end(file ?? 'There is no such file.');
  });
  beforeAll(async () => {
    made = await files();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
