import { createServer } from 'node:https';
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Fetcher } from '../../src/fetcher/fetch-picture.ts';
import { createSelfSignedCertificate } from './support/certificate.ts';
import { type DnsServer, makeAddressScript, serveDns } from './support/dns-server.ts';
import { waitUntilAllClosed, download, catchDownloadError, makeTestFetcher } from './support/test-fetcher.ts';
import { listen } from './support/origin.ts';

let dns: DnsServer;
let fetcher: Fetcher;
let trustedServer: Awaited<ReturnType<typeof listen>>;
let untrustedServer: Awaited<ReturnType<typeof listen>>;
const handshakes: unknown[] = [];

beforeAll(async () => {
  const trustedCertificate = createSelfSignedCertificate('pictures.test');
  setDefaultCACertificates([...getCACertificates(), trustedCertificate.cert]);
  dns = await serveDns({
    'pictures.test': makeAddressScript('pictures.test', '127.0.0.1'),
    'other.test': makeAddressScript('other.test', '127.0.0.1'),
  });
  fetcher = makeTestFetcher({ dnsServers: [dns.address] });
  trustedServer = await listen(
    createServer(trustedCertificate, (request, response) => {
      handshakes.push([(request.socket as TLSSocket).servername, request.headers.host]);
      if (request.url === '/downgrade') response.writeHead(302, { location: 'http://pictures.test/a.jpg' });
      response.end('a picture');
    }),
  );
  untrustedServer = await listen(
    createServer(createSelfSignedCertificate('pictures.test'), (_request, response) => response.end('x')),
  );
});

afterAll(async () => {
  for (const server of [trustedServer, untrustedServer]) {
    await waitUntilAllClosed(server);
    await server.close();
  }
  dns.close();
});

test('sends the host name in the TLS handshake and the Host header', async () => {
  const host = `pictures.test:${trustedServer.port}`;
  expect((await download(fetcher, `https://${host}/a.jpg`)).bytes.toString()).toBe('a picture');
  expect(handshakes).toEqual([['pictures.test', host]]);
});

const makeCertificateError = (reason: string) => ({
  code: 'source_refused',
  message: `The server's certificate is not valid: ${reason}.`,
});

test('rejects a certificate for a different name', async () => {
  const reason = 'it was issued for a different name';
  expect(await catchDownloadError(fetcher, `https://other.test:${trustedServer.port}/`)).toEqual(
    makeCertificateError(reason),
  );
  expect(await catchDownloadError(fetcher, `https://127.0.0.1:${trustedServer.port}/`)).toEqual(
    makeCertificateError(reason),
  );
});

test('rejects a certificate from an unknown issuer', async () => {
  const reason = 'it is self-signed';
  expect(await catchDownloadError(fetcher, `https://pictures.test:${untrustedServer.port}/`)).toEqual(
    makeCertificateError(reason),
  );
});

test('does not follow a redirect from HTTPS to HTTP', async () => {
  expect(await catchDownloadError(fetcher, `https://pictures.test:${trustedServer.port}/downgrade`)).toEqual({
    code: 'source_refused',
    message: 'The server redirected from HTTPS to HTTP. Such redirects are not followed.',
  });
});
