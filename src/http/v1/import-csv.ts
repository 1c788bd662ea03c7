import { AppError } from '../../errors.ts';
import type { UrlToImport } from '../../services/ingest-urls.ts';
import { decodeLeniently } from '../text/charset.ts';
import { type CsvRecord, readCsvRecords } from '../text/csv-records.ts';
import { showValue } from '../validation-sentences.ts';
import { lineFields, toLine } from './import-line.ts';

const headerRule = 'The CSV must begin with a header line such as "url,tenant,reference"';

/** The declaration that most non-UTF-8 CSVs lack. */
const charsetAdvice =
  'save the CSV as UTF-8, or declare its charset, such as Content-Type: text/csv; charset=windows-1252';

/** Replaces bytes that are invalid in the charset. */
const replacement = '\uFFFD';

/**
 * The lines below the header of a CSV. A line that cannot be decoded or parsed is passed to the service with its fault,
 * which refuses that line only. `charset` is the declared one.
 * @throws {AppError} `invalid_request` for a CSV that is invalid as a whole.
 */
export function readCsvLines(
  bytes: Uint8Array,
  charset: string | undefined,
  tenantName: string,
  maxLines: number,
): UrlToImport[] {
  const decoded = decodeLeniently(bytes, charset);
  const text = decoded.text.replace(/^\uFEFF+/, '');
  const { body, delimiter } = readSeparatorLine(text);
  const [header, ...records] = take(readCsvRecords(body, delimiter), maxLines + 2);
  const columns = readHeader(header, body, decoded.fault);
  if (records.length === 0) throw invalid('The CSV has no line below its header.');
  if (records.length > maxLines)
    throw invalid(`The CSV has more than ${maxLines.toLocaleString('en-US')} lines below its header.`);
  return records.map((record) => lineOf(record, columns, tenantName, decoded.fault));
}

function lineOf(
  { line, cells, fault }: CsvRecord,
  columns: readonly string[],
  tenantName: string,
  undecoded: string | undefined,
): UrlToImport {
  // An empty cell counts as missing.
  const named = columns.map((name, index) => [name, cells[index]] as const).filter(([, cell]) => cell);
  const found = fault ?? faultOf(cells, columns, undecoded);
  const where = found && `${found} (line ${line} of the file)`;
  return toLine(Object.fromEntries(named), tenantName, ...(where === undefined ? [] : [where]));
}

function faultOf(
  cells: readonly string[],
  columns: readonly string[],
  undecoded: string | undefined,
): string | undefined {
  if (cells.some((cell) => cell.includes(replacement))) {
    // A valid CSV may contain this character: another program has damaged the text before.
    if (undecoded === undefined)
      return 'it has the character U+FFFD, which stands for text that was lost when it was converted before';
    return `it has bytes that cannot be decoded, because the CSV ${undecoded}; ${charsetAdvice}`;
  }
  if (cells.length > columns.length)
    return `the line has ${cells.length} cells, its header ${columns.length}`;
  return undefined;
}

/** Spreadsheets may begin a CSV with a line that names its delimiter: `sep=;`. */
function readSeparatorLine(text: string): { body: string; delimiter: string } {
  const [line, named] = /^sep=(.)(?:\r\n|\n|\r|$)/i.exec(text) ?? [];
  if (line !== undefined && named !== undefined) return { body: text.slice(line.length), delimiter: named };
  return { body: text, delimiter: delimiterOf(firstLine(text)) };
}

/** Spreadsheets of half of Europe write semicolons; what is copied out of one has tabs. */
function delimiterOf(header: string): string {
  return [',', ';', '\t'].find((delimiter) => header.includes(delimiter)) ?? ',';
}

function readHeader(header: CsvRecord | undefined, text: string, undecoded: string | undefined): string[] {
  if (!header) throw invalid(`${headerRule}; it is empty.`);
  if (header.fault !== undefined)
    throw invalid(`The header line of the CSV cannot be read: ${header.fault}.`);
  const names = header.cells.map((name) => name.toLowerCase());
  const isOtherCharset = undecoded !== undefined || text.includes('\0');
  const advice = isOtherCharset ? ` The CSV may be in another charset: ${charsetAdvice}.` : '';
  if (!names.includes('url')) {
    throw invalid(`${headerRule}; its first line is ${showValue(firstLine(text))}.${advice}`);
  }
  const unknown = names.find((name) => !lineFields.some((field) => field === name));
  if (unknown !== undefined)
    throw invalid(
      `The CSV has an unknown column ${showValue(unknown)}; it takes ${lineFields.join(', ')}.${advice}`,
    );
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw invalid(`The CSV has the column ${showValue(twice)} more than once.`);
  return names;
}

function firstLine(text: string): string {
  return /[^\r\n]+/.exec(text)?.[0] ?? '';
}

function take<T>(values: Iterable<T>, most: number): T[] {
  const taken: T[] = [];
  for (const value of values) {
    taken.push(value);
    if (taken.length === most) break;
  }
  return taken;
}

function invalid(sentence: string): AppError {
  return new AppError('invalid_request', sentence);
}
