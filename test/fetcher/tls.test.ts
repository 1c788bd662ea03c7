import { createServer } from 'node:https';
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Fetcher } from '../../src/fetcher/fetch-picture.ts';
import { selfSigned } from './support/certificate.ts';
import { type DnsServer, fixed, serveDns } from './support/dns-server.ts';
import { untilAllClosed, download, downloadError, testFetcher } from './support/test-fetcher.ts';
import { listen } from './support/origin.ts';

let dns: DnsServer;
let fetcher: Fetcher;
let trusted: Awaited<ReturnType<typeof listen>>;
let untrusted: Awaited<ReturnType<typeof listen>>;
const handshakes: unknown[] = [];

beforeAll(async () => {
  const trustedCertificate = selfSigned('pictures.test');
  setDefaultCACertificates([...getCACertificates(), trustedCertificate.cert]);
  dns = await serveDns({
    'pictures.test': fixed('pictures.test', '127.0.0.1'),
    'other.test': fixed('other.test', '127.0.0.1'),
  });
  fetcher = testFetcher({ dnsServers: [dns.address] });
  trusted = await listen(
    createServer(trustedCertificate, (request, response) => {
      handshakes.push([(request.socket as TLSSocket).servername, request.headers.host]);
      if (request.url === '/downgrade') response.writeHead(302, { location: 'http://pictures.test/a.jpg' });
      response.end('a picture');
    }),
  );
  untrusted = await listen(
    createServer(selfSigned('pictures.test'), (_request, response) => response.end('x')),
  );
});

afterAll(async () => {
  for (const server of [trusted, untrusted]) {
    await untilAllClosed(server);
    await server.close();
  }
  dns.close();
});

test('sends the host name in the TLS handshake and the request, although it connects to a pinned address', async () => {
  const host = `pictures.test:${trusted.port}`;
  expect((await download(fetcher, `https://${host}/a.jpg`)).bytes.toString()).toBe('a picture');
  expect(handshakes).toEqual([['pictures.test', host]]);
});

const invalidCertificate = (reason: string) => ({
  code: 'source_refused',
  message: `The server's certificate is not valid: ${reason}.`,
});

test('rejects a certificate for another name', async () => {
  const reason = 'it was issued for a different name';
  expect(await downloadError(fetcher, `https://other.test:${trusted.port}/`)).toEqual(
    invalidCertificate(reason),
  );
  expect(await downloadError(fetcher, `https://127.0.0.1:${trusted.port}/`)).toEqual(
    invalidCertificate(reason),
  );
});

test('rejects a certificate from an unknown issuer', async () => {
  const reason = 'it is self-signed';
  expect(await downloadError(fetcher, `https://pictures.test:${untrusted.port}/`)).toEqual(
    invalidCertificate(reason),
  );
});

test('follows no redirect from https to http', async () => {
  expect(await downloadError(fetcher, `https://pictures.test:${trusted.port}/downgrade`)).toEqual({
    code: 'source_refused',
    message: 'The server redirected from HTTPS to HTTP. Such redirects are not followed.',
  });
});
