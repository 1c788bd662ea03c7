import { AppError } from '../../errors.ts';
import { decodeText, type DecodedText } from '../text/charset.ts';
import { parseHeaderParameters } from '../text/header-parameters.ts';

/** Headers of a form part, keyed by lower-case name and decoded as latin1. */
export type PartHeaders = Readonly<Record<string, readonly string[] | undefined>>;

/** Parsed headers of a form part. Only the field name is required (RFC 7578 §4.2, §4.4). */
export interface PartHead {
  readonly field: string;
  /** Not decoded yet, because the form may declare its charset after the file. */
  readonly filename: RawFilename | undefined;
  /** Media type in lower case. It is `text/plain` if the part declares no type. */
  readonly type: string;
  /** Charset of the part's text, if declared. */
  readonly charset: string | undefined;
}

/** The parameters `filename` and `filename*`, each decoded as latin1. */
export interface RawFilename {
  readonly plain: string | undefined;
  readonly extended: string | undefined;
}

/** Transfer encodings that leave bytes unchanged. */
const plainEncodings = new Set(['7bit', '8bit', 'binary']);

/**
 * Parses the headers of a part. Returns `undefined` if the part is not form data or has no field name.
 * @throws {AppError} `invalid_request` for conflicting parameters or an unsupported transfer encoding.
 */
export function readPartHead(headers: PartHeaders): PartHead | undefined {
  const disposition = parseHeaderParameters(headers['content-disposition']?.[0] ?? '');
  const { value, parameters, conflict } = disposition;
  const name = parameters.get('name');
  if (value !== 'form-data' || name === undefined) return undefined;
  const field = Buffer.from(name, 'latin1').toString();
  if (conflict !== undefined)
    throw invalidRequest(`The form part ${JSON.stringify(field)} has two different values for ${conflict}.`);
  const encoding = headers['content-transfer-encoding']?.[0]?.trim().toLowerCase();
  if (encoding !== undefined && !plainEncodings.has(encoding))
    throw invalidRequest(
      `The form part ${JSON.stringify(field)} uses the transfer encoding ${encoding.slice(0, 40)}; send its bytes unencoded.`,
    );
  const type = parseHeaderParameters(headers['content-type']?.[0] ?? 'text/plain');
  const [plain, extended] = [parameters.get('filename'), parameters.get('filename*')];
  return {
    field,
    filename: plain === undefined && extended === undefined ? undefined : { plain, extended },
    type: type.value,
    charset: type.parameters.get('charset'),
  };
}

/**
 * Decodes a file name and removes folder names, which some clients send. `filename*` takes precedence (RFC 6266 §4.3)
 * unless it cannot be decoded. `charset` is the form's declared charset.
 * @throws {AppError} `invalid_request` if the file name cannot be decoded.
 */
export function decodeFilename({ plain, extended }: RawFilename, charset: string | undefined): string {
  const decoded = extended === undefined ? undefined : decodeExtended(extended);
  if (decoded && 'text' in decoded) return getBaseName(decoded.text);
  const fallback = plain === undefined ? decoded : decodeText(Buffer.from(plain, 'latin1'), charset);
  if (fallback && 'text' in fallback) return getBaseName(unescapeQuotes(fallback.text));
  throw invalidRequest(
    `The file name ${fallback?.problem}. Send it as UTF-8, or declare the form's charset in the field "_charset_".`,
  );
}

/** Decodes text in the format `charset'language'value`, in which the value is percent-encoded (RFC 8187 §3.2). */
function decodeExtended(value: string): DecodedText {
  const [, charset, escaped] = /^([^']+)'[^']*'(.*)$/s.exec(value) ?? [];
  if (charset === undefined || escaped === undefined || /%(?![\da-f]{2})/i.test(escaped))
    return { problem: `is not a valid RFC 8187 value (${JSON.stringify(value.slice(0, 40))})` };
  const latin1 = escaped.replaceAll(/%([\da-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return decodeText(Buffer.from(latin1, 'latin1'), charset);
}

/** Decodes `%22`. Browsers encode quotation marks this way, but no other printable characters (HTML standard). */
function unescapeQuotes(name: string): string {
  return name.replaceAll('%22', '"');
}

function getBaseName(name: string): string {
  const base = name.split(/[/\\]/).at(-1) ?? '';
  return base === '.' || base === '..' ? '' : base;
}

function invalidRequest(message: string): AppError {
  return new AppError('invalid_request', message);
}
