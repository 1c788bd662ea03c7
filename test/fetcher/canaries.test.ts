import { get } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Fetcher } from '../../src/fetcher/fetch-picture.ts';
import { type Canaries, serveCanaries } from './support/canaries.ts';
import { type DnsServer, makeAddressScript, serveDns } from './support/dns-server.ts';
import { waitUntilAllClosed, download, catchDownloadError, makeTestFetcher } from './support/test-fetcher.ts';
import { serve } from './support/origin.ts';
import { timeScale } from '../support/time-scale.ts';

// Canaries are servers that imports must never reach. Only 127.0.0.1 is allowed. No packet leaves loopback, because the
// test runs its own DNS server.
let canaries: Canaries;
let origin: Awaited<ReturnType<typeof serve>>;
let dns: DnsServer;
let fetcher: Fetcher;

const allowedIp = '127.0.0.1';
const canaryIp = '127.0.0.2';

beforeAll(async () => {
  canaries = await serveCanaries();
  // /<status>/<count>?<target> redirects `count` times. The last redirect leads to the target.
  origin = await serve((request, response) => {
    const { pathname, search } = new URL(request.url ?? '/', 'http://origin');
    const [, status, count] = pathname.split('/');
    if (!Number(status)) return void response.end('a picture');
    // Some servers send raw bytes instead of escaping them.
    const target = Buffer.from(decodeURIComponent(search.slice(1))).toString('latin1');
    response.statusCode = Number(status);
    response.setHeader('location', Number(count) > 1 ? `/${status}/${Number(count) - 1}${search}` : target);
    // With a text body, Node would encode the head as UTF-8.
    response.end(Buffer.from('an ignored body'));
  });
  dns = await serveDns({
    'good.test': makeAddressScript('good.test', allowedIp),
    'both-good.test': makeAddressScript('both-good.test', allowedIp, allowedIp),
    'inside.test': makeAddressScript('inside.test', canaryIp),
    'inside6.test': makeAddressScript('inside6.test', '::1'),
    'mapped.test': makeAddressScript('mapped.test', '::ffff:127.0.0.2'),
    'compatible.test': makeAddressScript('compatible.test', '::127.0.0.1'),
    'zero.test': makeAddressScript('zero.test', '0.0.0.0'),
    'mixed.test': makeAddressScript('mixed.test', allowedIp, canaryIp),
    'mixed-reversed.test': makeAddressScript('mixed-reversed.test', canaryIp, allowedIp),
    'mixed-families.test': makeAddressScript('mixed-families.test', allowedIp, '::1'),
    localhost: makeAddressScript('localhost', canaryIp, '::1'),
    'rebinding.test': (type, nth) =>
      makeAddressScript('rebinding.test', nth === 1 ? allowedIp : canaryIp)(type, nth),
    'chain.test': (type) => [
      { type: 'CNAME', name: 'chain.test', data: 'middle.test', ttl: 0 },
      { type: 'CNAME', name: 'middle.test', data: 'end.test', ttl: 0 },
      ...(type === 'A' ? [{ type, name: 'end.test', data: canaryIp, ttl: 0 } as const] : []),
    ],
    'dangling-chain.test': () => [
      { type: 'CNAME', name: 'dangling-chain.test', data: 'inside.test', ttl: 0 },
    ],
    'good-chain.test': (type) => [
      { type: 'CNAME', name: 'good-chain.test', data: 'good.test', ttl: 0 },
      ...(type === 'A' ? [{ type, name: 'good.test', data: allowedIp, ttl: 0 } as const] : []),
    ],
    'silent.test': () => 'no response',
    'silent6.test': (type, nth) =>
      type === 'AAAA' ? 'no response' : makeAddressScript('silent6.test', allowedIp)(type, nth),
    'failing6.test': (type, nth) =>
      type === 'AAAA' ? 2 : makeAddressScript('failing6.test', allowedIp)(type, nth),
    'empty.test': () => [],
  });
  fetcher = makeTestFetcher({ dnsServers: [dns.address] });
});

afterEach(() => expect(canaries.countConnections()).toBe(0));

afterAll(async () => {
  await fetcher.close();
  await waitUntilAllClosed(origin);
  // This request proves that the canaries count connections.
  await new Promise((resolve) =>
    get(`http://127.0.0.2:${canaries.port}/`, (response) => response.resume().on('end', resolve)),
  );
  expect(canaries.countConnections()).toBe(1);
  await Promise.all([canaries.close(), origin.close()]);
  dns.close();
});

const makeRedirectUrl = (status: number, depth: number, target: string) =>
  `http://127.0.0.1:${origin.port}/${status}/${depth}?${encodeURIComponent(target)}`;

const notAllowedMessage =
  'is not allowed: imports may only connect to ports 80 and 443 of public addresses, and to the networks in IMPORT_ALLOWED_NETWORKS.';

test('rejects the canary addresses in every notation', async () => {
  expect(canaries.targets).toHaveLength(15);
  for (const target of canaries.targets) {
    const { code, message } = await catchDownloadError(fetcher, target);
    expect([target, code]).toEqual([target, 'address_not_allowed']);
    expect(message.replace(/^The address \S+ /, '')).toBe(notAllowedMessage);
  }
});

describe.each([301, 302, 303, 307, 308])('redirects with status %i', (status) => {
  test.each([1, 2, 3])('do not reach the canaries after %i hops', async (depth) => {
    for (const target of canaries.targets) {
      const { code } = await catchDownloadError(fetcher, makeRedirectUrl(status, depth, target));
      expect([target, code]).toEqual([target, 'address_not_allowed']);
    }
  });

  test.each([4, 5])('fail after %i hops', async (depth) => {
    for (const target of canaries.targets) {
      expect(await catchDownloadError(fetcher, makeRedirectUrl(status, depth, target))).toEqual({
        code: 'source_refused',
        message: 'The server redirected more than 3 times.',
      });
    }
  });

  test('are rejected if they lead to an internal host name', async () => {
    const names = ['inside.test', 'inside6.test', 'mapped.test', 'mixed.test', 'chain.test', 'localhost'];
    for (const name of names) {
      const { code } = await catchDownloadError(
        fetcher,
        makeRedirectUrl(status, 1, `http://${name}:${canaries.port}/`),
      );
      expect([name, code]).toEqual([name, 'address_not_allowed']);
    }
  });

  test('are followed if they lead to an allowed address', async () => {
    const finalTarget = `http://good.test:${origin.port}/pictures/b%20c.jpg`;
    const { bytes, finalUrl, filename } = await download(fetcher, makeRedirectUrl(status, 3, finalTarget));
    expect([bytes.toString(), finalUrl, filename]).toEqual(['a picture', finalTarget, 'b c.jpg']);
  });
});

describe('host names', () => {
  test.each(['good.test', 'both-good.test', 'good-chain.test', 'GOOD.test', 'good.test.'])(
    'are accepted if their addresses are allowed: %s',
    async (name) => {
      const { bytes } = await download(fetcher, `http://${name}:${origin.port}/a.jpg`);
      expect(bytes.toString()).toBe('a picture');
    },
  );

  test.each([
    'inside.test',
    'inside6.test',
    'mapped.test',
    'compatible.test',
    'zero.test',
    'mixed.test',
    'mixed-reversed.test',
    'mixed-families.test',
    'chain.test',
    'localhost',
  ])('are rejected without revealing their addresses: %s', async (name) => {
    expect(await catchDownloadError(fetcher, `http://${name}:${canaries.port}/a.jpg`)).toEqual({
      code: 'address_not_allowed',
      message: `The address ${name}:${canaries.port} ${notAllowedMessage}`,
    });
  });

  test('are accepted only on the allowed port of a network', async () => {
    const allowedNetworks = [{ network: '127.0.0.1/32', port: origin.port }];
    const restrictedFetcher = makeTestFetcher({ allowedNetworks, dnsServers: [dns.address] });
    const { bytes } = await download(restrictedFetcher, `http://good.test:${origin.port}/a.jpg`);
    expect(bytes.toString()).toBe('a picture');
    const otherServer = await serve((_request, response) => response.end('another server'));
    expect(
      await catchDownloadError(restrictedFetcher, `http://good.test:${otherServer.port}/a.jpg`),
    ).toMatchObject({
      code: 'address_not_allowed',
    });
    // The message does not reveal whether the name resolves to a server in the operator's network.
    const [allowedHost, otherHost] = ['good.test', 'inside.test'].map((name) =>
      catchDownloadError(restrictedFetcher, `http://${name}:80/a.jpg`),
    );
    expect((await allowedHost)?.message.replace('good', 'inside')).toBe((await otherHost)?.message);
    expect(otherServer.countConnections()).toBe(0);
    await otherServer.close();
  });

  test('are resolved once per import, and the addresses are checked in every import', async () => {
    const url = `http://rebinding.test:${origin.port}/a.jpg`;
    expect((await download(fetcher, url)).bytes.toString()).toBe('a picture');
    expect([dns.countQueries('rebinding.test', 'A'), dns.countQueries('rebinding.test', 'AAAA')]).toEqual([
      1, 1,
    ]);
    for (const port of [origin.port, canaries.port]) {
      const { code } = await catchDownloadError(fetcher, `http://rebinding.test:${port}/a.jpg`);
      expect(code).toBe('address_not_allowed');
    }
  });

  test.each(['missing.test', 'empty.test', 'dangling-chain.test', 'failing6.test'])(
    'are reported as unresolved: %s',
    async (name) => {
      expect(await catchDownloadError(fetcher, `http://${name}:${origin.port}/a.jpg`)).toEqual({
        code: 'source_unavailable',
        message: `The host name ${name} could not be resolved.`,
      });
    },
  );

  test.each(['silent.test', 'silent6.test'])(
    'time out after two seconds without a DNS response: %s',
    async (name) => {
      const startedAt = performance.now();
      expect((await catchDownloadError(fetcher, `http://${name}:${origin.port}/a.jpg`)).code).toBe(
        'source_unavailable',
      );
      expect(performance.now() - startedAt).toBeLessThan(3_000 * timeScale);
    },
  );

  test('are no longer resolved after an abort', async () => {
    const signal = AbortSignal.timeout(50);
    await expect(download(fetcher, 'http://silent.test/', signal)).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });
});

test('ignores proxy variables in the environment', async () => {
  const names = ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY'];
  for (const name of names) process.env[name] = `http://127.0.0.2:${canaries.port}`;
  try {
    const fetcher = makeTestFetcher();
    expect((await download(fetcher, `http://127.0.0.1:${origin.port}/a.jpg`)).bytes.toString()).toBe(
      'a picture',
    );
  } finally {
    for (const name of names) delete process.env[name];
  }
});
