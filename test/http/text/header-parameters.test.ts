import { expect, test } from 'vitest';
import { parseHeaderParameters } from '../../../src/http/text/header-parameters.ts';
import { measureCpuMs, timeScale } from '../../support/time-scale.ts';

test.each<[string, string, Record<string, string>]>([
  ['text/csv', 'text/csv', {}],
  [' Text/CSV ;Charset = UTF-8 ; header=present', 'text/csv', { charset: 'UTF-8', header: 'present' }],
  ['multipart/form-data; boundary="a; b"', 'multipart/form-data', { boundary: 'a; b' }],
  [String.raw`form-data; filename="C:\a\b.jpg"`, 'form-data', { filename: String.raw`C:\a\b.jpg` }],
  [
    String.raw`form-data; filename="24\" a\\b.jpg"; name=x`,
    'form-data',
    { filename: String.raw`24" a\b.jpg`, name: 'x' },
  ],
  ["form-data; filename*=UTF-8''a%20b.jpg", 'form-data', { 'filename*': "UTF-8''a%20b.jpg" }],
  ['form-data; name="never closed', 'form-data', { name: 'never closed' }],
  ['form-data; ; name; ="x"; a="b"c; d=e', 'form-data', { name: '', a: 'b', d: 'e' }],
  ['', '', {}],
])('parses %j', (header, value, parameters) => {
  const parsedHeader = parseHeaderParameters(header);
  expect([parsedHeader.value, Object.fromEntries(parsedHeader.parameters), parsedHeader.conflict]).toEqual([
    value,
    parameters,
    undefined,
  ]);
});

test('reports a parameter that has two different values, but not a parameter that repeats the same value', () => {
  expect(parseHeaderParameters('form-data; name=a; name="a"').conflict).toBeUndefined();
  expect(parseHeaderParameters('form-data; name=a; NAME=b')).toMatchObject({ conflict: 'name' });
});

test('parses a malicious header in linear time', () => {
  const parseAll = () => {
    for (const unit of [';', '; ', ';a', '; a="', String.raw`;a="\"`, '='])
      parseHeaderParameters(unit.repeat(8_000));
    parseHeaderParameters(`;${' '.repeat(16_000)}`.repeat(2));
  };
  expect(measureCpuMs(parseAll)).toBeLessThan(500 * timeScale);
});
