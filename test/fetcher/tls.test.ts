import { createServer } from 'node:https';
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Fetcher } from '../../src/fetcher/fetch-picture.ts';
import { selfSigned } from './support/certificate.ts';
import { type DnsServer, fixed, serveDns } from './support/dns-server.ts';
import { allClosed, download, refusal, testFetcher } from './support/fetching.ts';
import { listen } from './support/origin.ts';

let dns: DnsServer;
let fetcher: Fetcher;
let trusted: Awaited<ReturnType<typeof listen>>;
let unknown: Awaited<ReturnType<typeof listen>>;
const asked: unknown[] = [];

beforeAll(async () => {
  const known = selfSigned('pictures.test');
  setDefaultCACertificates([...getCACertificates(), known.cert]);
  dns = await serveDns({
    'pictures.test': fixed('pictures.test', '127.0.0.1'),
    'other.test': fixed('other.test', '127.0.0.1'),
  });
  fetcher = testFetcher({ dnsServers: [dns.address] });
  trusted = await listen(
    createServer(known, (request, response) => {
      asked.push([(request.socket as TLSSocket).servername, request.headers.host]);
      if (request.url === '/down') response.writeHead(302, { location: 'http://pictures.test/a.jpg' });
      response.end('a picture');
    }),
  );
  unknown = await listen(
    createServer(selfSigned('pictures.test'), (_request, response) => response.end('x')),
  );
});

afterAll(async () => {
  for (const server of [trusted, unknown]) {
    await allClosed(server);
    await server.close();
  }
  dns.close();
});

test('sends the host name in handshake and request although the address is pinned', async () => {
  const host = `pictures.test:${trusted.port}`;
  expect((await download(fetcher, `https://${host}/a.jpg`)).bytes.toString()).toBe('a picture');
  expect(asked).toEqual([['pictures.test', host]]);
});

const invalid = (why: string) => ({
  code: 'source_refused',
  message: `The server's certificate is not valid: ${why}.`,
});

test('rejects a certificate for another name', async () => {
  const why = 'it was issued for a different name';
  expect(await refusal(fetcher, `https://other.test:${trusted.port}/`)).toEqual(invalid(why));
  expect(await refusal(fetcher, `https://127.0.0.1:${trusted.port}/`)).toEqual(invalid(why));
});

test('rejects a certificate from an unknown issuer', async () => {
  const why = 'it is self-signed';
  expect(await refusal(fetcher, `https://pictures.test:${unknown.port}/`)).toEqual(invalid(why));
});

test('follows no redirect from https to http', async () => {
  expect(await refusal(fetcher, `https://pictures.test:${trusted.port}/down`)).toEqual({
    code: 'source_refused',
    message: 'The server redirected from HTTPS to HTTP. Such redirects are not followed.',
  });
});
