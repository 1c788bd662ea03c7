import { expect, test } from 'vitest';
import { makeComparison } from './support/comparison.ts';
import { isReadOnly, readExamples } from './support/transcript.ts';

const findDifferences = (documented: string, actual: string) =>
  makeComparison().findDifferences(documented, actual);
const uuids = ['01a1fb5b-5201-72ab-9fbd-4c086fdee8fa', '0199aaaa-5201-72ab-9fbd-000000000001'] as const;

test('ignores values that differ between runs', () => {
  const documented = `{"id":1,"uuid":"${uuids[0]}","size_bytes":54337,"created_at":"2026-11-20T23:47:08.417Z","score":0.91}`;
  const actual = `{"id":1,"uuid":"${uuids[1]}","size_bytes":99,"created_at":"2030-01-01T00:00:00Z","score":1}`;
  expect(findDifferences(documented, actual)).toEqual([]);
  expect(findDifferences('content-length: 54369', 'content-length: 61077')).toEqual([]);
});

test.each([
  ['a missing key', '{"id":1,"status":"completed"}', '{"id":1}'],
  ['a missing nested key', '{"a":{"b":1,…},…}', '{"a":{"c":1}}'],
  ['an undocumented key', '{"id":1}', '{"id":1,"more":2}'],
  ['a different value', '{"status":"completed",…}', '{"status":"failed","id":1}'],
  ['a different type', '{"size_bytes":54337}', '{"size_bytes":"54337"}'],
  ['a different number', '{"limit":20}', '{"limit":50}'],
  ['an error instead of a result', '{"items":[…],…}', '{"type":"urn:vitrine:error:internal_error"}'],
  ['fewer entries', '{"items":[{"id":2},{"id":1}]}', '{"items":[{"id":2}]}'],
  ['a different HTTP status', 'HTTP/1.1 200 OK\n…', 'HTTP/1.1 500 Internal Server Error\nx: y'],
  ['a missing header', 'HTTP/1.1 200 OK\n…\netag: "9ebc553cd61442eae8"\n…', 'HTTP/1.1 200 OK\nx: y'],
  ['an extra line', 'one', 'one\ntwo'],
  ['no output', '{"id":1}', ''],
])('detects %s', (_description, documented, actual) => {
  expect(findDifferences(documented, actual)).not.toEqual([]);
});

test('accepts anything in place of an omitted part', () => {
  expect(
    findDifferences(
      '{"items":[{"id":2, …}, …],"total":2, …}',
      '{"items":[{"id":2,"a":1},{"id":1}],"total":2,"b":3}',
    ),
  ).toEqual([]);
  expect(findDifferences('first\n…\nlast', 'first\na\nb\nlast')).toEqual([]);
  expect(
    findDifferences('{"note":"PSNR: above 40 dB …"}', '{"note":"PSNR: above 40 dB excellent."}'),
  ).toEqual([]);
});

test('replaces a documented UUID with the actual UUID in later commands', () => {
  const comparison = makeComparison();
  expect(comparison.findDifferences(`{"uuid":"${uuids[0]}"}`, `{"uuid":"${uuids[1]}"}`)).toEqual([]);
  expect(comparison.translate(`curl /v1/images/${uuids[0]}`)).toBe(`curl /v1/images/${uuids[1]}`);
  expect(comparison.findDifferences(`{"uuid":"${uuids[0]}"}`, `{"uuid":"${uuids[0]}"}`)).not.toEqual([]);
});

test('extracts commands and their output from a document', () => {
  const document = [
    'text',
    '```console',
    '$ npm ci',
    'x',
    '$ curl -d a \\',
    " -d 'b",
    "c'",
    '{"c":1}',
    '```',
    '$ curl no',
  ];
  expect(readExamples(document.join('\n'))).toEqual([
    { line: 5, command: "curl -d a \\\n -d 'b\nc'", output: '{"c":1}', settings: {} },
  ]);
  expect(isReadOnly('curl -s http://x/')).toBe(true);
  expect(isReadOnly('curl -X DELETE http://x/')).toBe(false);
});
