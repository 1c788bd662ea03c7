import { describe, expect, test } from 'vitest';
import { redirectTarget } from '../../src/fetcher/redirects.ts';

const rules = { allowedNetworks: [] };
const resolveTarget = (from: string, location: string | string[] | undefined) =>
  redirectTarget(from, { status: 302, headers: { location: [location ?? []].flat() } }, rules).href;

describe('redirects', () => {
  test.each([
    ['https://a.example/b/c.jpg', 'd.jpg', 'https://a.example/b/d.jpg'],
    ['https://a.example/b/c.jpg', '/d.jpg#e', 'https://a.example/d.jpg'],
    ['https://a.example/b/c.jpg', '?d', 'https://a.example/b/c.jpg?d'],
    ['https://a.example/b/c.jpg', '//b.example/d.jpg', 'https://b.example/d.jpg'],
    ['http://a.example/c.jpg', 'https://a.example/c.jpg', 'https://a.example/c.jpg'],
    ['http://a.example/c.jpg', 'http://b.example/', 'http://b.example/'],
    ['http://a.example/c.jpg', ['/d.jpg', '/d.jpg'], 'http://a.example/d.jpg'],
    ['http://a.example/c.jpg', '/\u00c3\u00a4.jpg', 'http://a.example/%C3%A4.jpg'],
  ])('from %s with Location %j lead to %s', (from, location, href) => {
    expect(resolveTarget(from, location)).toBe(href);
  });

  test.each([
    ['https://a.example/', 'http://a.example/', 'source_refused'],
    ['https://a.example/', 'HTTP://127.0.0.1/', 'source_refused'],
    ['https://a.example/', 'https://127.0.0.1/', 'address_not_allowed'],
    ['http://a.example/', '//[::1]/', 'address_not_allowed'],
    ['http://a.example/', 'http://b.example:8080/', 'address_not_allowed'],
    ['http://a.example/', 'gopher://b.example/', 'source_refused'],
    ['http://a.example/', `/${'a'.repeat(2048)}`, 'source_refused'],
    ['http://a.example/', undefined, 'source_refused'],
    ['http://a.example/', '', 'source_refused'],
    ['http://a.example/', ['/a', '/b'], 'source_refused'],
  ])('from %s with Location %j are rejected with %s', (from, location, code) => {
    expect(() => resolveTarget(from, location)).toThrow(expect.objectContaining({ code }));
  });
});
