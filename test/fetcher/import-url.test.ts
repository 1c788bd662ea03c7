import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../src/errors.ts';
import type { AddressRules } from '../../src/fetcher/address-rules.ts';
import { filenameOf, parseImportUrl } from '../../src/fetcher/import-url.ts';
import { makeRules } from './support/allowed-networks.ts';

const noRules: AddressRules = { allowedNetworks: [] };
const loopback = makeRules('127.0.0.1/32');

function catchParseError(text: string, rules = noRules): Pick<AppError, 'code' | 'message'> {
  try {
    parseImportUrl(text, rules);
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error(`${text} was accepted.`);
}

describe('normalisation', () => {
  test.each([
    ['HTTPS://Example.COM/a.jpg', 'https://example.com/a.jpg'],
    ['https://example.com:443/a.jpg', 'https://example.com/a.jpg'],
    ['http://example.com:80/a.jpg', 'http://example.com/a.jpg'],
    ['https://example.com/a.jpg#part', 'https://example.com/a.jpg'],
    ['https://example.com/a.jpg#', 'https://example.com/a.jpg'],
    ['https://example.com/b/../a.jpg', 'https://example.com/a.jpg'],
    ['https://example.com/b/%2e%2E/./a.jpg', 'https://example.com/a.jpg'],
    ['https://example.com./a.jpg', 'https://example.com/a.jpg'],
    ['  https://example.com/a.jpg\n', 'https://example.com/a.jpg'],
    ['https:\\\\example.com\\a.jpg', 'https://example.com/a.jpg'],
    ['https://@example.com/a.jpg', 'https://example.com/a.jpg'],
    ['https://example.com', 'https://example.com/'],
    ['https://bücher.example/ä.jpg', 'https://xn--bcher-kva.example/%C3%A4.jpg'],
    ['https://example.com/a.jpg?b=1&a=2', 'https://example.com/a.jpg?b=1&a=2'],
    ['http://1.1.1.1..:80/', 'http://1.1.1.1/'],
    ['http://example.com:443/', 'http://example.com:443/'],
  ])('normalises %j to %s', (text, href) => {
    expect(parseImportUrl(text, noRules)).toEqual({
      href,
      hash: createHash('sha256').update(href).digest('hex'),
    });
  });

  test('distinguishes URLs with different queries or schemes', () => {
    const texts = ['http://a.example/', 'https://a.example/', 'https://a.example/?', 'https://a.example/?a'];
    expect(new Set(texts.map((text) => parseImportUrl(text, noRules).hash)).size).toBe(4);
  });
});

const makeNotHttpMessage = (quotedUrl: string) =>
  `The URL "${quotedUrl}" is not valid: it must begin with http:// or https:// and include a host.`;
const makeInvalidHostMessage = (quotedUrl: string) =>
  `The URL "${quotedUrl}" is not valid: its host is invalid, or its port is above 65535.`;

describe('URL validation', () => {
  test.each([
    ['', 'The URL is empty: it must begin with http:// or https://.'],
    ['  ', 'The URL is empty: it must begin with http:// or https://.'],
    ['not a url', makeNotHttpMessage('not a url')],
    ['/a.jpg', makeNotHttpMessage('/a.jpg')],
    ['//example.com/a.jpg', makeNotHttpMessage('//example.com/a.jpg')],
    ['http://', makeInvalidHostMessage('http://')],
    ['http://a b/', makeInvalidHostMessage('http://a b/')],
    ['http://[fe80::1%25eth0]/', makeInvalidHostMessage('http://[fe80::1%25eth0]/')],
    ['http://256.1.1.1/', makeInvalidHostMessage('http://256.1.1.1/')],
    ['http://example.com:65536/', makeInvalidHostMessage('http://example.com:65536/')],
    ['file:///etc/passwd', 'The URL begins with file:, but only http: and https: URLs can be imported.'],
    ['ftp://127.0.0.1/a.jpg', 'The URL begins with ftp:, but only http: and https: URLs can be imported.'],
    ['javascript:1', 'The URL begins with javascript:, but only http: and https: URLs can be imported.'],
    [
      'data:image/png;base64,AA',
      'The URL begins with data:, but only http: and https: URLs can be imported.',
    ],
    ['http://user@example.com/', 'The URL must not contain a user name or a password.'],
    ['http://:secret@example.com/', 'The URL must not contain a user name or a password.'],
    ['http://./', "The URL's host is not valid."],
    ['http://example.com../', "The URL's host is not valid."],
  ])('rejects %j', (text, message) => {
    expect(catchParseError(text)).toEqual({ code: 'invalid_url', message });
  });

  test('accepts 2048 characters, but not 2049', () => {
    const start = 'https://example.com/';
    expect(parseImportUrl(start.padEnd(2048, 'a'), noRules).href).toHaveLength(2048);
    const message = 'The URL is longer than 2048 characters (it has 2049).';
    expect(catchParseError(start.padEnd(2049, 'a'))).toEqual({ code: 'invalid_url', message });
    // The limit applies to the percent-encoded URL.
    expect(catchParseError(start.padEnd(1000, 'ä')).message).toBe(
      'The URL is longer than 2048 characters (it has 5900).',
    );
  });
});

const makeNotAllowedMessage = (host: string) =>
  `The address ${host} is not allowed: imports may only connect to ports 80 and 443 of public addresses, and to the networks in IMPORT_ALLOWED_NETWORKS.`;

describe('the address check', () => {
  test.each([
    ['http://10.0.0.5/', '10.0.0.5'],
    ['http://0xa.5/', '10.0.0.5'],
    ['http://10.0.0.5../', '10.0.0.5'],
    ['https://192.168.0.1:443/', '192.168.0.1'],
    ['http://[::1]/', '[::1]'],
    ['http://1.1.1.1:8080/', '1.1.1.1:8080'],
    ['http://[2606:4700::1]:22/', '[2606:4700::1]:22'],
    ['http://example.com:8080/', 'example.com:8080'],
    ['https://example.com:0/', 'example.com:0'],
  ])('rejects %s', (text, host) => {
    expect(catchParseError(text)).toEqual({
      code: 'address_not_allowed',
      message: makeNotAllowedMessage(host),
    });
  });

  test('accepts any port for an address in an allowed network and for a host name', () => {
    expect(parseImportUrl('http://127.0.0.1:8080/', loopback).href).toBe('http://127.0.0.1:8080/');
    expect(parseImportUrl('http://[::ffff:127.0.0.1]:8080/', loopback).href).toBe(
      'http://[::ffff:7f00:1]:8080/',
    );
    expect(parseImportUrl('http://example.com:8080/', loopback).href).toBe('http://example.com:8080/');
    expect(catchParseError('http://1.1.1.1:8080/', loopback).message).toBe(
      makeNotAllowedMessage('1.1.1.1:8080'),
    );
    expect(catchParseError('http://127.0.0.2:80/', loopback).code).toBe('address_not_allowed');
  });

  test("accepts only an allowed network's port, both for an address and for a host name", () => {
    const onePort = { allowedNetworks: [{ network: '127.0.0.1/32', port: 9000 }] };
    expect(parseImportUrl('http://127.0.0.1:9000/', onePort).href).toBe('http://127.0.0.1:9000/');
    expect(parseImportUrl('http://example.com:9000/', onePort).href).toBe('http://example.com:9000/');
    for (const host of ['127.0.0.1', '127.0.0.1:9001', 'example.com:9001'])
      expect(catchParseError(`http://${host}/`, onePort).message).toBe(makeNotAllowedMessage(host));
  });
});

test('does not quote queries or credentials in errors', () => {
  for (const text of [
    'http://10.0.0.5/?key=secret',
    'http://u@a.example/?key=secret',
    'ftp://a.example/?key=secret',
    'http://a.example:70000/?key=secret',
    'http://user:secret@a.example:70000/',
    'nonsense#secret',
  ]) {
    expect(catchParseError(text).message).not.toContain('secret');
  }
});

test('quotes at most 80 characters of an invalid URL', () => {
  expect(catchParseError('x'.repeat(999)).message).toBe(makeNotHttpMessage(`${'x'.repeat(79)}…`));
});

test.each([
  ['https://a.example/b/c.jpg?d', 'c.jpg'],
  ['https://a.example/b/%C3%A4%20b.jpg', 'ä b.jpg'],
  ['https://a.example/b/', undefined],
  ['https://a.example/', undefined],
  ['https://a.example/100%.jpg', '100%.jpg'],
  ['https://a.example/..%2F..%2Fetc%5Cpasswd', 'passwd'],
])('derives a file name from %s', (href, name) => {
  expect(filenameOf(href)).toBe(name);
});
