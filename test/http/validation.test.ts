import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { fractionField, referenceField, timeField, wholeNumberField } from '../../src/http/fields/fields.ts';
import { readCursor, writeCursor } from '../../src/http/fields/pages.ts';
import { parseWith } from '../../src/http/fields/validation.ts';
import { makeBareServer } from './support/bare-server.ts';

/** Returns the error message for an invalid value. */
function findErrorMessage(schema: z.ZodType, value: unknown): string {
  try {
    parseWith(schema, value, 'body');
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('The value was accepted.');
}

describe('input validation', () => {
  const schema = z.strictObject({
    name: z.string().min(2).max(5),
    count: z.int().min(0).max(100).optional(),
    list: z.array(z.string()).min(1).max(2).optional(),
    word: z.enum(['a', 'b']).optional(),
    yes: z.boolean().optional(),
  });
  test.each([
    [{}, 'body/name: is missing.'],
    [{ name: 5 }, 'body/name: must be text (it is 5).'],
    [{ name: null }, 'body/name: must be text (it is null).'],
    [{ name: '' }, 'body/name: must not be empty.'],
    [{ name: 'x' }, 'body/name: must have at least 2 characters (it has 1).'],
    [{ name: 'xxxxxx' }, 'body/name: must have at most 5 characters (it has 6).'],
    [{ name: 'xx', count: 1000 }, 'body/count: must be at most 100 (it is 1000).'],
    [{ name: 'xx', count: -1 }, 'body/count: must be at least 0 (it is -1).'],
    [{ name: 'xx', count: 1.5 }, 'body/count: must be a whole number (it is 1.5).'],
    [{ name: 'xx', count: 1e300 }, /^body\/count: must be at most [\d,]+ \(it is 1e\+300\)\.$/],
    [{ name: 'xx', list: [] }, 'body/list: must have at least 1 entry (it has 0).'],
    [{ name: 'xx', list: ['a', 'b', 'c'] }, 'body/list: must have at most 2 entries (it has 3).'],
    [{ name: 'xx', list: ['a', 7] }, 'body/list/1: must be text (it is 7).'],
    [{ name: 'xx', word: 'c' }, 'body/word: must be one of "a", "b" (it is "c").'],
    [{ name: 'xx', yes: 'true' }, 'body/yes: must be true or false (it is "true").'],
    [{ name: 'xx', nme: 1 }, 'body: must not contain "nme"; allowed: name, count, list, word, yes.'],
    ['text', 'body: must be an object (it is "text").'],
    [[], 'body: must be an object (it is []).'],
  ])('rejects %j with %s', (value, message) => {
    expect(findErrorMessage(schema, value)).toMatch(
      message instanceof RegExp ? message : new RegExp(`^${RegExp.escape(message)}$`),
    );
  });

  test('counts many errors and shortens long values', () => {
    const list = z.array(z.int());
    expect(
      findErrorMessage(
        list,
        Array.from({ length: 30 }, () => 'x'),
      ),
    ).toMatch(/There are 25 more errors\.$/);
    expect(findErrorMessage(z.object({ a: z.int() }), { a: 'x'.repeat(9_999) }).length).toBeLessThan(200);
  });
});

test.each([
  ['2026-01-31T12:00:00', /has no time zone \(it is "2026-01-31T12:00:00"\)/],
  ['2026-01-31T12:00:00 02:00', /it is "2026-01-31T12:00:00 02:00"\); encode "\+" as %2B/],
  ['yesterday', /must be a timestamp with a time zone, .* \(it is "yesterday"\)/],
])('rejects %j as a timestamp', (text, message) => {
  expect(findErrorMessage(timeField, text)).toMatch(message);
});

test('reports the length of an empty reference', () => {
  expect(findErrorMessage(referenceField, '')).toMatch(/it has 0 characters\)/);
});

describe('numeric URL parameters', () => {
  test.each(['1', '0', '007', '100'])('accept %j as a whole number', (text) => {
    expect(parseWith(wholeNumberField(0, 100, ''), text, 'query')).toBe(Number(text));
  });
  test.each(['', ' 1', '1 ', '1.0', '1e1', '0x10', '-1', '101', '9'.repeat(400), 'NaN', '١', 'true'])(
    'reject %j as a whole number from 0 to 100',
    (text) => {
      expect(() => parseWith(wholeNumberField(0, 100, ''), text, 'query')).toThrow(
        /must be a whole number from 0 to 100/,
      );
    },
  );
  test.each(['0', '1', '0.7', '.5', '1.0', '1e-5', '5E-1', '1.'])('accept %j as a fraction', (text) => {
    expect(parseWith(fractionField(''), text, 'query')).toBe(Number(text));
  });
  test.each(['', '.', '-0.1', '1.1', 'x', 'Infinity', 'NaN', '0x1', '1e400', '0,5'])(
    'reject %j as a fraction',
    (text) => {
      expect(() => parseWith(fractionField(''), text, 'query')).toThrow(/must be a number from 0 to 1/);
    },
  );
});

test('decodes only valid cursors', () => {
  for (const next of [0, 1, 42, 999_999_999_999_999]) {
    const cursor = writeCursor(next) ?? '';
    expect(cursor).toMatch(/^[\w-]+$/);
    expect(readCursor(cursor)).toBe(next);
  }
  expect(writeCursor(undefined)).toBeNull();
  for (const text of [
    '',
    '1',
    'zzz',
    'MQ==',
    'MQ\0',
    'LTE',
    Buffer.from('1e3').toString('base64url'),
    Buffer.from('01').toString('base64url'),
    'A'.repeat(5_000),
  ])
    expect(readCursor(text), text).toBeUndefined();
});

test('rejects unknown query parameters in /v1, and ignores them in the older APIs', async () => {
  const usage = { tenants: () => Promise.resolve([]) };
  const listImages = () => Promise.resolve({ items: [], total: 0, next: undefined });
  const bindToTenant = (principal: object) => Promise.resolve(principal);
  const app = await makeBareServer({}, { services: { bindToTenant, usage, listImages } });
  expect((await app.inject('/v1/images?color=red')).statusCode).toBe(400);
  expect((await app.inject('/api/v1/images?color=red')).statusCode).toBe(200);
  expect((await app.inject('/metrics?color=red')).statusCode).toBe(200);
});

test('returns 400 for invalid input', async () => {
  // The routes have no services, so input that passes validation causes a 5xx response.
  const app = await makeBareServer();
  const bodies = [
    'null',
    '[]',
    '"x"',
    '5',
    '{"url":["http://a"]}',
    '{"url":"http://a\\u0000"}',
    '{"url":"\\ud800"}',
    '{"url":{"a":1}}',
    '{"__proto__":{"url":1}}',
    '{"constructor":{"prototype":1}}',
    '{"url":"x","tenant":[]}',
    '{"url":"x","reference":"\\n"}',
    `{"url":"${'x'.repeat(9_000)}"}`,
    '[['.repeat(5_000),
    '\u0000',
    '{',
  ];
  for (const url of ['/v1/images', '/v1/imports', '/v1/jobs/retry']) {
    for (const body of bodies) {
      const response = await app.inject({
        method: 'POST',
        url,
        headers: { 'content-type': 'application/json' },
        body,
      });
      expect(response.statusCode, `${url} ${body.slice(0, 60)}`).toBe(400);
    }
  }
  const longNumber = '9'.repeat(290);
  for (const url of [
    `/v1/jobs/${longNumber}`,
    '/v1/jobs/-1',
    '/v1/jobs/1.5',
    '/v1/jobs/%00',
    `/v1/images/${longNumber}`,
    '/v1/images/%ff',
    '/v1/imports/x',
    '/v1/images/1/similar?threshold=1e999',
    '/v1/images/1/similar?limit=5&limit=6',
    '/v1/jobs?image=x',
    '/v1/jobs?code=%00',
    '/v1/jobs?state=done',
    '/v1/jobs?tenant[]=a',
    '/v1/images?cursor=%00',
    `/v1/images?cursor=${'A'.repeat(2_000)}`,
    '/api/v1/images?limit=101',
    '/api/v1/images/1',
  ])
    expect((await app.inject(url)).statusCode, url).toBe(400);
  for (const reference of ['%00', '%0A', '%20', '%E2%80%A8', 'x'.repeat(201)]) {
    const url = `/v1/images/1/references/${reference}`;
    expect((await app.inject({ method: 'PUT', url })).statusCode, url).toBe(400);
  }
});
