import { AppError } from '../../errors.ts';
import type { UrlToImport } from '../../services/ingest-urls.ts';
import { decodeLeniently } from '../text/charset.ts';
import { type CsvRecord, readCsvRecords } from '../text/csv-records.ts';
import { quoteValue } from '../fields/validation.ts';
import { lineFields, toImportLine } from './import-line.ts';

const headerRule = 'The CSV must begin with a header line such as "url,tenant,reference"';

/** Advice for CSV files that are not UTF-8 and whose charset is not declared. */
const charsetAdvice =
  'save the CSV as UTF-8, or declare its charset in a header such as Content-Type: text/csv; charset=windows-1252';

/** The decoder replaces invalid bytes with this character. */
const replacementCharacter = '\uFFFD';

/**
 * Returns the lines below the header of a CSV file. A line that cannot be decoded or parsed is returned with its
 * problem, so that the import service rejects only that line. `charset` is the declared charset.
 * @throws {AppError} `invalid_request` for a file that is invalid as a whole.
 */
export function readCsvLines(
  bytes: Uint8Array,
  charset: string | undefined,
  tenantName: string | undefined,
  maxLines: number,
): UrlToImport[] {
  const decoded = decodeLeniently(bytes, charset);
  const text = decoded.text.replace(/^\uFEFF+/, '');
  const { body, delimiter } = splitSeparatorLine(text);
  const [header, ...records] = takeFirst(readCsvRecords(body, delimiter), maxLines + 2);
  const columns = readHeader(header, body, decoded.problem);
  if (records.length === 0) throw invalidRequest('The CSV has no lines below its header.');
  if (records.length > maxLines)
    throw invalidRequest(`The CSV has more than ${maxLines.toLocaleString('en-US')} lines below its header.`);
  return records.map((record) => convertRecord(record, columns, tenantName, decoded.problem));
}

function convertRecord(
  { line, cells, problem }: CsvRecord,
  columns: readonly string[],
  tenantName: string | undefined,
  charsetProblem: string | undefined,
): UrlToImport {
  // Empty cells count as missing.
  const fields = columns.map((name, index) => [name, cells[index]] as const).filter(([, cell]) => cell);
  const lineProblem = problem ?? findProblem(cells, columns, charsetProblem);
  const locatedProblem = lineProblem && `${lineProblem} (line ${line} of the file)`;
  return toImportLine(
    Object.fromEntries(fields),
    tenantName,
    ...(locatedProblem === undefined ? [] : [locatedProblem]),
  );
}

function findProblem(
  cells: readonly string[],
  columns: readonly string[],
  charsetProblem: string | undefined,
): string | undefined {
  if (cells.some((cell) => cell.includes(replacementCharacter))) {
    // If the file could be decoded, the character comes from an earlier conversion by a different program.
    if (charsetProblem === undefined)
      return 'it contains the character U+FFFD, so text was lost in an earlier conversion';
    return `it contains bytes that cannot be decoded, because the CSV ${charsetProblem}; ${charsetAdvice}`;
  }
  if (cells.length > columns.length)
    return `the line has ${cells.length} cells but the header has ${columns.length}`;
  return undefined;
}

/** Splits off a first line such as `sep=;`, with which some spreadsheet programs declare the delimiter. */
function splitSeparatorLine(text: string): { body: string; delimiter: string } {
  const [line, declaredDelimiter] = /^sep=(.)(?:\r\n|\n|\r|$)/i.exec(text) ?? [];
  if (line !== undefined && declaredDelimiter !== undefined)
    return { body: text.slice(line.length), delimiter: declaredDelimiter };
  return { body: text, delimiter: detectDelimiter(getFirstLine(text)) };
}

/**
 * Detects the delimiter. In many European locales, spreadsheet programs use semicolons. Cells copied from a
 * spreadsheet are separated by tabs.
 */
function detectDelimiter(header: string): string {
  return [',', ';', '\t'].find((delimiter) => header.includes(delimiter)) ?? ',';
}

function readHeader(
  header: CsvRecord | undefined,
  text: string,
  charsetProblem: string | undefined,
): string[] {
  if (!header) throw invalidRequest(`${headerRule}; the CSV is empty.`);
  if (header.problem !== undefined)
    throw invalidRequest(`The header line of the CSV cannot be read: ${header.problem}.`);
  const names = header.cells.map((name) => name.toLowerCase());
  const mayHaveWrongCharset = charsetProblem !== undefined || text.includes('\0');
  const advice = mayHaveWrongCharset ? ` The CSV may be in a different charset: ${charsetAdvice}.` : '';
  if (!names.includes('url')) {
    throw invalidRequest(`${headerRule}; its first line is ${quoteValue(getFirstLine(text))}.${advice}`);
  }
  const unknownColumn = names.find((name) => !lineFields.some((field) => field === name));
  if (unknownColumn !== undefined)
    throw invalidRequest(
      `The CSV has an unknown column ${quoteValue(unknownColumn)}; allowed: ${lineFields.join(', ')}.${advice}`,
    );
  const repeatedColumn = names.find((name, index) => names.indexOf(name) !== index);
  if (repeatedColumn !== undefined)
    throw invalidRequest(`The CSV has the column ${quoteValue(repeatedColumn)} more than once.`);
  return names;
}

function getFirstLine(text: string): string {
  return /[^\r\n]+/.exec(text)?.[0] ?? '';
}

function takeFirst<T>(values: Iterable<T>, count: number): T[] {
  const firstValues: T[] = [];
  for (const value of values) {
    firstValues.push(value);
    if (firstValues.length === count) break;
  }
  return firstValues;
}

function invalidRequest(message: string): AppError {
  return new AppError('invalid_request', message);
}
