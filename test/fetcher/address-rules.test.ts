import { describe, expect, test } from 'vitest';
import { type AddressRules, classifyAddress } from '../../src/fetcher/address-rules.ts';
import { hostOf, parseImportUrl } from '../../src/fetcher/import-url.ts';
import { allow } from './support/allowed-networks.ts';
import { sampleAddresses, v4Notations, v6Embeddings } from './support/notations.ts';
import { publicAddresses, specialV4, specialV6 } from './support/special-ranges.ts';

const noRules: AddressRules = { allowedNetworks: [] };
const onlyLoopback = allow('127.0.0.1/32');

const hostileV4 = [...new Set(specialV4.flatMap(sampleAddresses))];
const hostileV6 = [...new Set(specialV6.flatMap(sampleAddresses))];
const hostileHosts = [
  ...hostileV4.flatMap(v4Notations),
  ...hostileV4.flatMap(v6Embeddings).map((address) => `[${address}]`),
  ...hostileV6.map((address) => `[${address}]`),
];

const addressKind = (address: string, rules = noRules) => classifyAddress(address, 80, rules).kind;

/** Returns the host after the URL parser has normalised it. */
const parsedHost = (host: string) => hostOf(new URL(`http://${host}/`));

describe('special addresses', () => {
  test('cover many ranges and notations', () => {
    expect(hostileV4.length).toBeGreaterThanOrEqual(60);
    expect(hostileV6.length).toBeGreaterThanOrEqual(80);
    expect(hostileHosts.length).toBeGreaterThanOrEqual(1_500);
  });

  test('are denied by the classifier in every notation', () => {
    expect(hostileHosts.filter((host) => addressKind(parsedHost(host)) !== 'denied')).toEqual([]);
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
    expect(v6Embeddings('8.8.8.8').filter((address) => addressKind(address) !== 'denied')).toEqual([]);
  });
});

describe('public addresses', () => {
  test('cover many ranges', () => expect(new Set(publicAddresses).size).toBeGreaterThanOrEqual(50));

  test.each(publicAddresses)('are allowed: %s', (address) => {
    expect(addressKind(address)).toBe('public');
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
    expect(addressKind(text)).toBe('denied');
    expect(addressKind(text, allow('0.0.0.0/0', '::/0'))).toBe('denied');
  });
});

describe('allowed networks', () => {
  test('such as 127.0.0.1/32 allow their addresses in every notation', () => {
    const hosts = [...v4Notations('127.0.0.1'), '[::ffff:127.0.0.1]', '[::ffff:7f00:1]'];
    for (const host of hosts) {
      expect(classifyAddress(parsedHost(host), 9000, onlyLoopback)).toEqual({
        kind: 'exempt',
        address: '127.0.0.1',
      });
    }
  });

  test('such as 127.0.0.1/32 allow no other addresses', () => {
    const acceptedHosts = hostileHosts.filter(
      (host) => addressKind(parsedHost(host), onlyLoopback) !== 'denied',
    );
    expect(acceptedHosts).toEqual([]);
    const embeddings = v6Embeddings('127.0.0.1').filter(
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
      expect([address, addressKind(address, onlyLoopback)]).toEqual([address, 'denied']);
    }
  });

  test('of IPv6 do not allow embedded IPv4 addresses', () => {
    const rules = allow('::/0');
    expect(addressKind('::ffff:127.0.0.1', rules)).toBe('denied');
    expect(addressKind('::1', rules)).toBe('exempt');
    expect(addressKind('127.0.0.1', rules)).toBe('denied');
  });

  test('allow every address in a wide network', () => {
    const rules = allow('10.1.0.0/16', 'fd00::/8');
    expect(addressKind('10.1.255.255', rules)).toBe('exempt');
    expect(addressKind('10.2.0.0', rules)).toBe('denied');
    expect(addressKind('fd12::1', rules)).toBe('exempt');
    expect(addressKind('fc12::1', rules)).toBe('denied');
    expect(addressKind('8.8.8.8', rules)).toBe('public');
  });
});

describe('the port of an allowed network', () => {
  const addressKindOnPort = (address: string, port: number, network: string, allowedPort?: number) =>
    classifyAddress(address, port, { allowedNetworks: [{ network, port: allowedPort }] }).kind;

  test('is the only allowed port', () => {
    for (const [address, network] of [
      ['10.1.2.3', '10.1.2.3/32'],
      ['::ffff:10.1.2.3', '10.1.2.0/24'],
      ['fd00::5', 'fd00::/8'],
    ] as const) {
      const kinds = [9000, 80, 443, 22].map((port) => addressKindOnPort(address, port, network, 9000));
      expect([address, kinds]).toEqual([address, ['exempt', 'denied', 'denied', 'denied']]);
    }
    expect(addressKindOnPort('10.1.2.4', 9000, '10.1.2.3/32', 9000)).toBe('denied');
  });

  test('may be omitted to allow every port', () => {
    expect([1, 80, 9000].map((port) => addressKindOnPort('10.1.2.3', port, '10.1.2.3/32'))).not.toContain(
      'denied',
    );
  });

  test('does not restrict a public address on ports 80 and 443', () => {
    const kinds = [80, 443, 8080, 22].map((port) => addressKindOnPort('8.8.8.8', port, '8.8.8.0/24', 8080));
    expect(kinds).toEqual(['public', 'public', 'exempt', 'denied']);
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
