import type * as Undici from 'undici';
import { expect, test, vi } from 'vitest';
import { allClosed, refusal, testFetcher } from './support/fetching.ts';
import { serve } from './support/origin.ts';

/** Stands for whatever may send a socket elsewhere after its address was judged. */
vi.mock('undici', async (importOriginal) => {
  const undici = await importOriginal<typeof Undici>();
  const astray = (options: Undici.buildConnector.BuildOptions): Undici.buildConnector.connector => {
    const connect = undici.buildConnector(options);
    return (destination, callback) => connect({ ...destination, hostname: '127.0.0.2' }, callback);
  };
  return { ...undici, buildConnector: astray };
});

test('a socket that went elsewhere is closed before it says a word', async () => {
  let requests = 0;
  const server = await serve((_request, response) => {
    requests += 1;
    response.end();
  }, '127.0.0.2');
  expect(await refusal(testFetcher(), `http://127.0.0.1:${server.port}/`)).toEqual({
    code: 'address_not_allowed',
    message:
      'The address 127.0.0.1 is not allowed: it lies in another network than the one that was checked.',
  });
  await allClosed(server);
  expect([server.connections(), requests]).toEqual([1, 0]);
  await server.close();
});
