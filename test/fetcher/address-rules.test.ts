import { describe, expect, test } from 'vitest';
import { type AddressRules, classifyAddress } from '../../src/fetcher/address-rules.ts';
import { hostOf, parseImportUrl } from '../../src/fetcher/import-url.ts';
import { makeRules } from './support/allowed-networks.ts';
import { sampleAddresses, listV4Notations, listV6Embeddings } from './support/notations.ts';
import { publicAddresses, specialV4, specialV6 } from './support/special-ranges.ts';

const noRules: AddressRules = { allowedNetworks: [] };
const onlyLoopback = makeRules('127.0.0.1/32');

const hostileV4 = [...new Set(specialV4.flatMap(sampleAddresses))];
const hostileV6 = [...new Set(specialV6.flatMap(sampleAddresses))];
const hostileHosts = [
  ...hostileV4.flatMap(listV4Notations),
  ...hostileV4.flatMap(listV6Embeddings).map((address) => `[${address}]`),
  ...hostileV6.map((address) => `[${address}]`),
];

const findAddressKind = (address: string, rules = noRules) => classifyAddress(address, 80, rules).kind;

/** Returns the host as the URL parser normalises it. */
const parseHost = (host: string) => hostOf(new URL(`http://${host}/`));

describe('special addresses', () => {
  test('cover many ranges and notations', () => {
    expect(hostileV4.length).toBeGreaterThanOrEqual(60);
    expect(hostileV6.length).toBeGreaterThanOrEqual(80);
    expect(hostileHosts.length).toBeGreaterThanOrEqual(1_500);
  });

  test('are denied by the classifier in every notation', () => {
    expect(hostileHosts.filter((host) => findAddressKind(parseHost(host)) !== 'denied')).toEqual([]);
  });

  test('are rejected in URLs in every notation', () => {
    const acceptedHosts = hostileHosts.filter((host) => {
      try {
        return parseImportUrl(`http://${host}/a.jpg`, noRules);
      } catch (error) {
        return (error as { code: string }).code !== 'address_not_allowed';
      }
    });
    expect(acceptedHosts).toEqual([]);
  });

  test('are denied if they embed a public address', () => {
    expect(listV6Embeddings('8.8.8.8').filter((address) => findAddressKind(address) !== 'denied')).toEqual(
      [],
    );
  });
});

describe('public addresses', () => {
  test('cover many ranges', () => expect(new Set(publicAddresses).size).toBeGreaterThanOrEqual(50));

  test.each(publicAddresses)('are allowed: %s', (address) => {
    expect(findAddressKind(address)).toBe('public');
  });
});

describe('invalid addresses', () => {
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
  ])('are denied: %j', (text) => {
    expect(findAddressKind(text)).toBe('denied');
    expect(findAddressKind(text, makeRules('0.0.0.0/0', '::/0'))).toBe('denied');
  });
});

describe('an allowed network', () => {
  test('allows its addresses in every notation', () => {
    const hosts = [...listV4Notations('127.0.0.1'), '[::ffff:127.0.0.1]', '[::ffff:7f00:1]'];
    for (const host of hosts) {
      expect(classifyAddress(parseHost(host), 9000, onlyLoopback)).toEqual({
        kind: 'in-allowed-network',
        address: '127.0.0.1',
      });
    }
  });

  test('allows no other addresses', () => {
    const acceptedHosts = hostileHosts.filter(
      (host) => findAddressKind(parseHost(host), onlyLoopback) !== 'denied',
    );
    expect(acceptedHosts).toEqual([]);
    const embeddings = listV6Embeddings('127.0.0.1').filter(
      (address) => !address.includes('ffff:127') && !address.includes('ffff:7f'),
    );
    for (const address of [
      ...embeddings,
      '127.0.0.2',
      '127.0.0.0',
      '::1',
      '0.0.0.0',
      '::',
      '::ffff:127.0.0.2',
    ]) {
      expect([address, findAddressKind(address, onlyLoopback)]).toEqual([address, 'denied']);
    }
  });

  test('does not allow embedded IPv4 addresses if it is an IPv6 network', () => {
    const rules = makeRules('::/0');
    expect(findAddressKind('::ffff:127.0.0.1', rules)).toBe('denied');
    expect(findAddressKind('::1', rules)).toBe('in-allowed-network');
    expect(findAddressKind('127.0.0.1', rules)).toBe('denied');
  });

  test('allows every address in its range, but no adjacent address', () => {
    const rules = makeRules('10.1.0.0/16', 'fd00::/8');
    expect(findAddressKind('10.1.255.255', rules)).toBe('in-allowed-network');
    expect(findAddressKind('10.2.0.0', rules)).toBe('denied');
    expect(findAddressKind('fd12::1', rules)).toBe('in-allowed-network');
    expect(findAddressKind('fc12::1', rules)).toBe('denied');
    expect(findAddressKind('8.8.8.8', rules)).toBe('public');
  });
});

describe('the port of an allowed network', () => {
  const findAddressKindOnPort = (address: string, port: number, network: string, allowedPort?: number) =>
    classifyAddress(address, port, { allowedNetworks: [{ network, port: allowedPort }] }).kind;

  test('is the only allowed port', () => {
    for (const [address, network] of [
      ['10.1.2.3', '10.1.2.3/32'],
      ['::ffff:10.1.2.3', '10.1.2.0/24'],
      ['fd00::5', 'fd00::/8'],
    ] as const) {
      const kinds = [9000, 80, 443, 22].map((port) => findAddressKindOnPort(address, port, network, 9000));
      expect([address, kinds]).toEqual([address, ['in-allowed-network', 'denied', 'denied', 'denied']]);
    }
    expect(findAddressKindOnPort('10.1.2.4', 9000, '10.1.2.3/32', 9000)).toBe('denied');
  });

  test('may be omitted to allow every port', () => {
    expect([1, 80, 9000].map((port) => findAddressKindOnPort('10.1.2.3', port, '10.1.2.3/32'))).not.toContain(
      'denied',
    );
  });

  test('does not restrict ports 80 and 443 of a public address', () => {
    const kinds = [80, 443, 8080, 22].map((port) =>
      findAddressKindOnPort('8.8.8.8', port, '8.8.8.0/24', 8080),
    );
    expect(kinds).toEqual(['public', 'public', 'in-allowed-network', 'denied']);
  });
});

test.each([
  ['10.0.0.5', 'is a private address (10.0.0.0/8)'],
  ['169.254.169.254', 'is a cloud metadata address (169.254.169.254/32)'],
  ['::ffff:10.0.0.5', 'is an IPv6 address with an embedded IPv4 address (::ffff:0:0/96)'],
  ['2606:4700::5efe:a00:5', 'is an IPv6 address with an embedded IPv4 address (ISATAP)'],
  ['4000::1', 'is not a global unicast address (2000::/3)'],
])('returns the reason why %s is denied', (address, reason) => {
  expect(classifyAddress(address, 80, noRules)).toEqual({ kind: 'denied', reason });
});
