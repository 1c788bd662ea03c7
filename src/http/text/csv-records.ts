import { type CsvError, parse } from 'csv-parse/sync';

/** Longest record, in characters: several times a URL of the longest kind. */
const longestRecord = 16_384;

/** What a CSV has between two ends of a line. */
export interface CsvRecord {
  /** Line of the text where it begins, from 1. */
  readonly line: number;
  /** Empty when there is a fault. */
  readonly cells: readonly string[];
  /** Why it cannot be read, as a clause. */
  readonly fault: string | undefined;
}

/**
 * The records of a CSV (RFC 4180), one by one, without empty lines. What cannot be read is a fault of its own line, and the
 * next record begins on the next one: a quotation mark that is never closed does not swallow what follows. A record costs
 * no more than its length, whatever it consists of.
 */
export function* readCsvRecords(text: string, delimiter: string): Generator<CsvRecord> {
  const lines = text.split(/\r\n|\n|\r/);
  for (let at = 0; at < lines.length; ) {
    const line = at + 1;
    if (lines[at] === '') {
      at = line;
      continue;
    }
    const end = endOfRecord(lines, at);
    const record = lines.slice(at, end).join('\n');
    const read = readRecord(record, delimiter);
    at = read.fault === undefined ? end : line;
    yield { line, ...read };
  }
}

/** Where the record ends that begins at `start`: its quotation marks come in pairs, so a cell with a line break is whole. */
function endOfRecord(lines: readonly string[], start: number): number {
  let length = 0;
  let isOpen = false;
  for (let at = start; at < lines.length && length <= longestRecord; at += 1) {
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

function readRecord(record: string, delimiter: string): Pick<CsvRecord, 'cells' | 'fault'> {
  if (record.length > longestRecord) {
    const [size, limit] = [record.length, longestRecord].map((number) => number.toLocaleString('en-US'));
    return { cells: [], fault: `it has ${size} characters; the limit is ${limit}` };
  }
  if (!record.includes('"')) return { cells: record.split(delimiter).map(trimCell), fault: undefined };
  try {
    const options = { delimiter, relax_column_count: true, trim: true, skip_empty_lines: true };
    return { cells: parse(record, options)[0] ?? [], fault: undefined };
  } catch (error) {
    return { cells: [], fault: describeQuotes((error as CsvError).code) };
  }
}

/** Blanks only: a byte order mark is white space to JavaScript, and would vanish instead of being named. */
function trimCell(cell: string): string {
  return cell.replaceAll(/^[ \t\f\v]+|[ \t\f\v]+$/g, '');
}

function describeQuotes(code: CsvError['code']): string {
  return code === 'CSV_QUOTE_NOT_CLOSED'
    ? 'a quotation mark is opened and never closed'
    : 'a quotation mark stands in the middle of a cell; write it twice, and put the whole cell in quotation marks';
}
