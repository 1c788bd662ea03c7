import { type CsvError, parse } from 'csv-parse/sync';

/** Maximum characters of a record: several times the longest URL. */
const maxRecordLength = 16_384;

/** A record of a CSV. */
export interface CsvRecord {
  /** Number of its first line, from 1. */
  readonly line: number;
  /** Empty if there is a problem. */
  readonly cells: readonly string[];
  /** Why it cannot be parsed, as a clause. */
  readonly problem: string | undefined;
}

/**
 * Iterates over the records of a CSV (RFC 4180) and skips empty lines. A malformed line is a problem of that line only, and
 * the next record begins on the next line: an unclosed quotation mark does not consume the rest. Cost is linear in the
 * length of a record, whatever its content.
 */
export function* readCsvRecords(text: string, delimiter: string): Generator<CsvRecord> {
  const lines = text.split(/\r\n|\n|\r/);
  for (let at = 0; at < lines.length; ) {
    const line = at + 1;
    if (lines[at] === '') {
      at = line;
      continue;
    }
    const end = findRecordEnd(lines, at);
    const record = lines.slice(at, end).join('\n');
    const read = parseRecord(record, delimiter);
    at = read.problem === undefined ? end : line;
    yield { line, ...read };
  }
}

/** Returns the end of the record that begins at `start`. Line breaks between quotation marks belong to it. */
function findRecordEnd(lines: readonly string[], start: number): number {
  let length = 0;
  let isOpen = false;
  for (let at = start; at < lines.length && length <= maxRecordLength; at += 1) {
    const line = lines[at] ?? '';
    length += line.length;
    if (countQuotes(line) % 2 === 1) isOpen = !isOpen;
    if (!isOpen) return at + 1;
  }
  return start + 1;
}

function countQuotes(line: string): number {
  return line.includes('"') ? line.split('"').length - 1 : 0;
}

function parseRecord(record: string, delimiter: string): Pick<CsvRecord, 'cells' | 'problem'> {
  if (record.length > maxRecordLength) {
    const [size, limit] = [record.length, maxRecordLength].map((number) => number.toLocaleString('en-US'));
    return { cells: [], problem: `it has ${size} characters; the limit is ${limit}` };
  }
  if (!record.includes('"')) return { cells: record.split(delimiter).map(trimCell), problem: undefined };
  try {
    const options = { delimiter, relax_column_count: true, trim: true, skip_empty_lines: true };
    return { cells: parse(record, options)[0] ?? [], problem: undefined };
  } catch (error) {
    return { cells: [], problem: describeQuotes((error as CsvError).code) };
  }
}

/** Not `trim`, which would remove a byte order mark instead of reporting it. */
function trimCell(cell: string): string {
  return cell.replaceAll(/^[ \t\f\v]+|[ \t\f\v]+$/g, '');
}

function describeQuotes(code: CsvError['code']): string {
  return code === 'CSV_QUOTE_NOT_CLOSED'
    ? 'a quotation mark is never closed'
    : 'a cell contains an unescaped quotation mark; double it and put the whole cell in quotation marks';
}
