import { describe, expect, test } from 'vitest';
import { type AddressRules, classifyAddress } from '../../src/fetcher/address-rules.ts';
import { hostOf, parseImportUrl } from '../../src/fetcher/import-url.ts';
import { allow } from './support/allowed-networks.ts';
import { samples, v4Notations, v6Embeddings } from './support/notations.ts';
import { publicAddresses, specialV4, specialV6 } from './support/special-ranges.ts';

const noRules: AddressRules = { allowedNetworks: [] };
const onlyLoopback = allow('127.0.0.1/32');

const hostileV4 = [...new Set(specialV4.flatMap(samples))];
const hostileV6 = [...new Set(specialV6.flatMap(samples))];
const written = [
  ...hostileV4.flatMap(v4Notations),
  ...hostileV4.flatMap(v6Embeddings).map((address) => `[${address}]`),
  ...hostileV6.map((address) => `[${address}]`),
];

const kindOf = (address: string, rules = noRules) => classifyAddress(address, 80, rules).kind;

/** The host that a URL parser returns for a notation. */
const parsedHost = (host: string) => hostOf(new URL(`http://${host}/`));

describe('special addresses', () => {
  test('are many', () => {
    expect(hostileV4.length).toBeGreaterThanOrEqual(60);
    expect(hostileV6.length).toBeGreaterThanOrEqual(80);
    expect(written.length).toBeGreaterThanOrEqual(1_500);
  });

  test('are denied by the classifier in every notation', () => {
    expect(written.filter((host) => kindOf(parsedHost(host)) !== 'denied')).toEqual([]);
  });

  test('are refused as a URL in every notation', () => {
    const passed = written.filter((host) => {
      try {
        return parseImportUrl(`http://${host}/a.jpg`, noRules);
      } catch (error) {
        return (error as { code: string }).code !== 'address_not_allowed';
      }
    });
    expect(passed).toEqual([]);
  });

  test('stay denied when they embed a public address', () => {
    const [, , , ...others] = v6Embeddings('8.8.8.8');
    expect(others.filter((address) => kindOf(address) !== 'denied')).toEqual([]);
  });
});

describe('public addresses', () => {
  test('are many', () => expect(new Set(publicAddresses).size).toBeGreaterThanOrEqual(50));

  test.each(publicAddresses)('%s passes', (address) => {
    expect(kindOf(address)).toBe('public');
  });
});

describe('denies invalid addresses', () => {
  test.each([
    'fe80::1%eth0',
    '2606:4700::1%eth0',
    '2606:4700::1%1',
    'localhost',
    '',
    '1',
    '127.1',
    '0177.0.0.1',
    '0x7f000001',
    '1.1.1.1/32',
    ' 1.1.1.1',
    '1.1.1.1\n',
    '[2606:4700::1]',
  ])('%j', (text) => {
    expect(kindOf(text)).toBe('denied');
    expect(kindOf(text, allow('0.0.0.0/0', '::/0'))).toBe('denied');
  });
});

describe('allowed networks', () => {
  test('127.0.0.1/32 allows 127.0.0.1 in every notation', () => {
    const hosts = [...v4Notations('127.0.0.1'), '[::ffff:127.0.0.1]', '[::ffff:7f00:1]'];
    for (const host of hosts) {
      expect(classifyAddress(parsedHost(host), 9000, onlyLoopback)).toEqual({
        kind: 'exempt',
        address: '127.0.0.1',
      });
    }
  });

  test('127.0.0.1/32 allows nothing else', () => {
    const others = written.filter((host) => kindOf(parsedHost(host), onlyLoopback) !== 'denied');
    expect(others).toEqual([]);
    const embedded = v6Embeddings('127.0.0.1').filter(
      (address) => !address.includes('ffff:127') && !address.includes('ffff:7f'),
    );
    for (const address of [
      ...embedded,
      '127.0.0.2',
      '127.0.0.0',
      '::1',
      '0.0.0.0',
      '::',
      '::ffff:127.0.0.2',
    ]) {
      expect([address, kindOf(address, onlyLoopback)]).toEqual([address, 'denied']);
    }
  });

  test('an IPv6 network allows no IPv4 embedded in IPv6', () => {
    const rules = allow('::/0');
    expect(kindOf('::ffff:127.0.0.1', rules)).toBe('denied');
    expect(kindOf('::1', rules)).toBe('exempt');
    expect(kindOf('127.0.0.1', rules)).toBe('denied');
  });

  test('a wide network allows all its addresses', () => {
    const rules = allow('10.1.0.0/16', 'fd00::/8');
    expect(kindOf('10.1.255.255', rules)).toBe('exempt');
    expect(kindOf('10.2.0.0', rules)).toBe('denied');
    expect(kindOf('fd12::1', rules)).toBe('exempt');
    expect(kindOf('fc12::1', rules)).toBe('denied');
    expect(kindOf('8.8.8.8', rules)).toBe('public');
  });
});

describe('ports', () => {
  const kindAt = (address: string, port: number, network: string, open?: number) =>
    classifyAddress(address, port, { allowedNetworks: [{ network, port: open }] }).kind;

  test('a network with a port allows only that port', () => {
    for (const [address, network] of [
      ['10.1.2.3', '10.1.2.3/32'],
      ['::ffff:10.1.2.3', '10.1.2.0/24'],
      ['fd00::5', 'fd00::/8'],
    ] as const) {
      const kinds = [9000, 80, 443, 22].map((port) => kindAt(address, port, network, 9000));
      expect([address, kinds]).toEqual([address, ['exempt', 'denied', 'denied', 'denied']]);
    }
    expect(kindAt('10.1.2.4', 9000, '10.1.2.3/32', 9000)).toBe('denied');
  });

  test('a network without a port allows all ports', () => {
    expect([1, 80, 9000].map((port) => kindAt('10.1.2.3', port, '10.1.2.3/32'))).not.toContain('denied');
  });

  test('a public address stays public on 80 and 443 if other ports are allowed', () => {
    const kinds = [80, 443, 8080, 22].map((port) => kindAt('8.8.8.8', port, '8.8.8.0/24', 8080));
    expect(kinds).toEqual(['public', 'public', 'exempt', 'denied']);
  });
});

test.each([
  ['10.0.0.5', 'is a private address (10.0.0.0/8)'],
  ['169.254.169.254', 'is a cloud metadata address (169.254.169.254/32)'],
  ['::ffff:10.0.0.5', 'is an IPv6 address with an embedded IPv4 address (::ffff:0:0/96)'],
  ['2606:4700::5efe:a00:5', 'is an IPv6 address with an embedded IPv4 address (ISATAP)'],
  ['4000::1', 'is not a global unicast address (2000::/3)'],
])('gives the reason for denying %s', (address, reason) => {
  expect(classifyAddress(address, 80, noRules)).toEqual({ kind: 'denied', reason });
});
