import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll } from 'vitest';

/**
 * Starts a web server on loopback that serves the loaded files to all tests in a test file. Returns a function that returns
 * the server’s URL.
 */
export function useOrigin(loadFiles: () => Promise<Readonly<Record<string, Buffer>>>): () => string {
  let servedFiles: Readonly<Record<string, Buffer>> = {};
  const server = createServer((request, response) => {
    const file = servedFiles[request.url ?? ''];
    response.statusCode = file ? 200 : 404;
    response.end(file ?? 'There is no such file.');
  });
  beforeAll(async () => {
    servedFiles = await loadFiles();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
