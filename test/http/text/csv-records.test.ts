import * as fc from 'fast-check';
import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import { readCsvRecords } from '../../../src/http/text/csv-records.ts';
import { measureCpuMs, timeScale } from '../../support/time-scale.ts';

const readRecords = (text: string, delimiter = ',') => [...readCsvRecords(text, delimiter)];

test('parses standard CSV like csv-parse', () => {
  const cell = fc.string({ unit: fc.constantFrom('a', 'ü', ' ', ',', ';', '"', '\n', '\r\n') });
  const cells = fc.array(cell, { minLength: 1, maxLength: 4 });
  const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const encode = (text: string) => (/[",;\r\n]|^ | $/.test(text) ? quote(text) : text);
  fc.assert(
    fc.property(fc.array(cells), fc.constantFrom(',', ';'), (rows, delimiter) => {
      const text = rows.map((row) => row.map(encode).join(delimiter)).join('\n');
      const options = { delimiter, relax_column_count: true, skip_empty_lines: true, trim: true };
      // csv-parse accepts only one kind of line break.
      const expected = parse(text.replaceAll('\r\n', '\n'), { ...options, record_delimiter: '\n' });
      expect(readRecords(text, delimiter).map((record) => record.cells)).toEqual(expected);
    }),
  );
});

test('reports the line number of each record that cannot be parsed', () => {
  const text = 'a\n\n"never, closed\nb,"c ""d"""\nTV 55",x\r\n"e"f,g\r"h\ni",j\n';
  expect(readRecords(text).map(({ line, cells, problem }) => [line, problem ?? cells])).toEqual([
    [1, ['a']],
    [3, expect.stringContaining('quotation mark')],
    [4, ['b', 'c "d"']],
    [5, expect.stringContaining('contains an unescaped quotation mark')],
    [6, expect.stringContaining('contains an unescaped quotation mark')],
    [7, ['h\ni', 'j']],
  ]);
  expect(readRecords('x\n"open\ny')).toMatchObject([
    { line: 1, cells: ['x'] },
    { line: 2, problem: 'a quotation mark is never closed' },
    { line: 3, cells: ['y'] },
  ]);
});

test('reports a record that is too long and continues with the next record', () => {
  expect(readRecords(`${','.repeat(16_384)}\n${','.repeat(16_385)}\nx`)).toMatchObject([
    { cells: { length: 16_385 } },
    { cells: [], problem: 'it has 16,385 characters; the limit is 16,384' },
    { cells: ['x'] },
  ]);
});

test.each([
  ['commas', ','.repeat(1_000_000)],
  ['quotation marks', '"'.repeat(1_000_000)],
  ['quoted cells', '"",'.repeat(300_000)],
  ['line ends', '\n'.repeat(1_000_000)],
  ['open quotation marks', `"${'x'.repeat(999)}\n`.repeat(1_000)],
  ['lines within quotation marks', `"\n${'x\n'.repeat(7_000)}`.repeat(70)],
  ['short quoted lines', '"",""\n'.repeat(1_000)],
])('parses a megabyte of %s in linear time', (_case, text) => {
  const countRecords = () => {
    let records = 0;
    for (const { line } of readCsvRecords(text, ',')) {
      records += Math.min(line, 1);
      if (records > 1_001) break;
    }
  };
  expect(measureCpuMs(countRecords)).toBeLessThan(500 * timeScale);
});
