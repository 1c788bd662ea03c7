import { type CsvError, parse } from 'csv-parse/sync';
import { AppError } from '../../errors.ts';
import type { UrlToImport } from '../../services/ingest-urls.ts';
import { showValue } from '../validation-sentences.ts';
import { lineFields, toLine } from './import-line.ts';

const headerRule = 'The CSV must begin with a header line such as "url,tenant,reference"';

/** The lines below the header of a CSV. @throws {AppError} `invalid_request` for a CSV that is bad as a whole. */
export function readCsvLines(text: string, tenantName: string, mostLines: number): UrlToImport[] {
  const [header, ...rows] = parseCells(text, mostLines + 2);
  const columns = readHeader(header, text);
  if (rows.length === 0) throw invalid('The CSV has no line below its header.');
  if (rows.length > mostLines)
    throw invalid(`The CSV has more than ${mostLines.toLocaleString('en-US')} lines below its header.`);
  return rows.map((cells) => {
    // An empty cell is one that is not there.
    const named = columns.map((name, index) => [name, cells[index]] as const).filter(([, cell]) => cell);
    const tooMany = cells.length > columns.length;
    const fault = `the line has ${cells.length} cells, its header ${columns.length}`;
    return toLine(Object.fromEntries(named), tenantName, ...(tooMany ? [fault] : []));
  });
}

function parseCells(text: string, most: number): string[][] {
  try {
    return parse(text, {
      bom: true,
      delimiter: delimiterOf(firstLine(text)),
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
      to: most,
    });
  } catch (error) {
    const { message } = error as CsvError;
    throw invalid(`The CSV cannot be read: ${message.replace(/\.?$/, '.')}`, error);
  }
}

/** Spreadsheets of half of Europe write semicolons; what is copied out of one has tabs. */
function delimiterOf(header: string): string {
  return [',', ';', '\t'].find((delimiter) => header.includes(delimiter)) ?? ',';
}

function readHeader(header: readonly string[] | undefined, text: string): string[] {
  if (!header) throw invalid(`${headerRule}; it is empty.`);
  const names = header.map((name) => name.toLowerCase());
  if (!names.includes('url'))
    throw invalid(`${headerRule}; its first line is ${showValue(firstLine(text))}.`);
  const unknown = names.find((name) => !lineFields.some((field) => field === name));
  if (unknown !== undefined)
    throw invalid(`The CSV has an unknown column ${showValue(unknown)}; it takes ${lineFields.join(', ')}.`);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw invalid(`The CSV has the column ${showValue(twice)} more than once.`);
  return names;
}

function firstLine(text: string): string {
  return /[^\r\n\uFEFF]+/.exec(text)?.[0] ?? '';
}

function invalid(sentence: string, cause?: unknown): AppError {
  return new AppError('invalid_request', sentence, { cause });
}
