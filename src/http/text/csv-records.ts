import { type CsvError, parse } from 'csv-parse/sync';

/** Maximum length of a record, in characters. It is several times the maximum length of a URL. */
const maxRecordLength = 16_384;

/** A record of a CSV file. */
export interface CsvRecord {
  /** Number of the record's first line, counted from 1. */
  readonly line: number;
  /** Empty if the record cannot be parsed. */
  readonly cells: readonly string[];
  /** Why the record cannot be parsed, as a clause; `undefined` if it can be parsed. */
  readonly problem: string | undefined;
}

/**
 * Iterates over the records of a CSV file (RFC 4180) and skips empty lines. After a malformed line, the next record
 * begins on the next line, so an unclosed quotation mark does not consume the rest of the file. The time per record is
 * linear in its length, regardless of its content.
 */
export function* readCsvRecords(text: string, delimiter: string): Generator<CsvRecord> {
  const lines = text.split(/\r\n|\n|\r/);
  for (let index = 0; index < lines.length; ) {
    const line = index + 1;
    if (lines[index] === '') {
      index = line;
      continue;
    }
    const end = findRecordEnd(lines, index);
    const record = lines.slice(index, end).join('\n');
    const parsed = parseRecord(record, delimiter);
    index = parsed.problem === undefined ? end : line;
    yield { line, ...parsed };
  }
}

/**
 * Returns the index after the last line of the record that begins at index `start`. Quoted cells can contain line
 * breaks.
 */
function findRecordEnd(lines: readonly string[], start: number): number {
  let length = 0;
  let isQuoted = false;
  for (let index = start; index < lines.length && length <= maxRecordLength; index += 1) {
    const line = lines[index] ?? '';
    length += line.length;
    if (countQuotes(line) % 2 === 1) isQuoted = !isQuoted;
    if (!isQuoted) return index + 1;
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
    return { cells: [], problem: describeQuoteError((error as CsvError).code) };
  }
}

/**
 * Removes spaces around a cell. `String.prototype.trim` would also remove a byte order mark, which must be reported.
 */
function trimCell(cell: string): string {
  return cell.replaceAll(/^[ \t\f\v]+|[ \t\f\v]+$/g, '');
}

function describeQuoteError(code: CsvError['code']): string {
  return code === 'CSV_QUOTE_NOT_CLOSED'
    ? 'a quotation mark is never closed'
    : 'a cell contains an unescaped quotation mark; double it and put the whole cell in quotation marks';
}
