import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { AppError } from '../../errors.ts';
import type { AssertFreeSpace } from '../../storage/free-space.ts';
import type { ReceivedFile, Staging } from '../../storage/staging.ts';
import { decodeFilename, type PartHead } from './part-head.ts';
import { connectionLostError, type PartReader, readParts } from './read-parts.ts';
import { decodeText } from '../text/charset.ts';

/** Limits for everything except the file. The limits are far above what documented requests contain. */
const formLimits = {
  files: 4,
  fields: 20,
  parts: 24,
  fieldNameSize: 100,
  fieldSize: 8_192,
};

/** Maximum number of bytes in a form, not counting the file. */
const maxOverheadBytes = 256 * 1024;

/** Maximum size of the body of an upload whose file may have `maxFileBytes`. */
export function maxFormBytes(maxFileBytes: number): number {
  return maxFileBytes + maxOverheadBytes;
}

/** Name of the form field that contains the file. */
const fileField = 'file';

/** The field that declares the charset of the other fields and of file names (RFC 7578 §4.6). */
const charsetField = '_charset_';

/** A form whose file is in staging, a temporary folder. The caller must discard the file after use. */
export interface UploadForm {
  readonly file: ReceivedFile;
  /** Empty if the form declares no file name. */
  readonly filename: string;
  /** Values of the requested fields, keyed by name. Fields that the form does not contain are absent. */
  readonly fields: ReadonlyMap<string, string>;
  /** Discards the file. */
  readonly discard: () => Promise<void>;
}

interface Dependencies {
  readonly staging: Staging;
  readonly assertFreeSpace: AssertFreeSpace;
  readonly maxBytes: number;
  /** Maximum time without data. */
  readonly idleMs: number;
}

/**
 * Reads a `multipart/form-data` body and streams its `file` to staging. Fields may precede or follow the file. Fields
 * that are not listed in `fieldNames` are ignored, because clients also send fields that are meant for other services.
 * @throws {AppError} `unsupported_body`, `body_too_large`, `missing_file`, `empty_file`, `body_cut_short`,
 *   `request_timeout`, `invalid_request`, `storage_full`. After an error, no staged file is left behind.
 */
export type ReceiveUploadForm = (
  request: IncomingMessage,
  fieldNames?: readonly string[],
) => Promise<UploadForm>;

/** @see ReceiveUploadForm */
export function makeReceiveUploadForm(deps: Dependencies): ReceiveUploadForm {
  return async (request, fieldNames = []) => {
    const length = Number(request.headers['content-length'] ?? 0);
    if (length > maxFormBytes(deps.maxBytes)) throw tooLargeError(deps.maxBytes, length);
    await deps.assertFreeSpace();
    // If the request was aborted during the space check, its events have already fired, and the form would never end.
    if (request.destroyed && !request.complete) throw connectionLostError();
    const form = readForm(deps, request);
    try {
      await form.reader.ended;
      const requiredParts = await requireFile(form, fieldNames);
      return { ...requiredParts, discard: () => deps.staging.discard(requiredParts.file.path) };
    } catch (error) {
      form.reader.abandon(error);
      // If the disk is full, the form seems to be truncated. The error from writing the file states the actual cause.
      let reason = error;
      const receivedFile = await form.received.file?.catch((failure: unknown) => {
        if (failure instanceof AppError) reason = failure;
      });
      if (receivedFile) await deps.staging.discard(receivedFile.path);
      throw reason;
    }
  };
}

/** Parts received so far. Text is decoded at the end, when the form's charset is known. */
interface ReceivedParts {
  file: Promise<ReceivedFile> | undefined;
  fileHead: PartHead | undefined;
  /** Complete fields, in order of completion. A part may still be in progress when the next part begins. */
  readonly fields: { readonly head: PartHead; readonly bytes: Buffer }[];
  /** Number of fields, including those in progress. */
  fieldCount: number;
  /** Names of other fields that contain a file. */
  readonly otherFileFields: string[];
}

interface Form {
  readonly reader: PartReader;
  readonly received: ReceivedParts;
}

function readForm({ staging, maxBytes, idleMs }: Dependencies, request: IncomingMessage): Form {
  const received: ReceivedParts = {
    file: undefined,
    fileHead: undefined,
    fields: [],
    fieldCount: 0,
    otherFileFields: [],
  };
  const limits = { parts: formLimits.parts, bodyBytes: maxFormBytes(maxBytes), idleMs };
  const reader = readParts(request, limits, async (head, body) => {
    if (head.field === fileField) {
      if (received.file) throw secondFileError();
      received.fileHead = head;
      received.file = staging.receive(limitBytes(body, maxBytes));
      await received.file;
    } else if (isOtherFile(head)) {
      received.otherFileFields.push(head.field);
      if (received.otherFileFields.length >= formLimits.files) throw tooManyError('files', formLimits.files);
      body.resume();
    } else {
      received.fieldCount += 1;
      if (received.fieldCount > formLimits.fields) throw tooManyError('fields', formLimits.fields);
      received.fields.push({ head, bytes: await readField(head.field, body) });
    }
  });
  return { reader, received };
}

/** Whether a part in a field other than `file` is a file. A part with an image type is a file even without a name. */
function isOtherFile({ filename, type }: PartHead): boolean {
  return filename !== undefined || type.startsWith('image/');
}

async function* limitBytes(body: Readable, maxBytes: number): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLargeError(maxBytes);
    yield chunk;
  }
}

async function readField(name: string, body: Readable): Promise<Buffer> {
  if (name.length > formLimits.fieldNameSize)
    throw invalidRequest(`The name of a form field is longer than ${formLimits.fieldNameSize} characters.`);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > formLimits.fieldSize) {
      throw invalidRequest(
        `The form field ${JSON.stringify(name)} is longer than ${formLimits.fieldSize} bytes; send the image in the field "${fileField}".`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function requireFile(
  { received }: Form,
  fieldNames: readonly string[],
): Promise<Omit<UploadForm, 'discard'>> {
  const file = await received.file;
  if (!file) {
    const [otherField] = received.otherFileFields;
    const hint = otherField === undefined ? '' : `; the file is in the field ${JSON.stringify(otherField)}`;
    throw new AppError('missing_file', `The form has no file in the field "${fileField}"${hint}.`);
  }
  if (isText(file, received.fileHead))
    throw new AppError('missing_file', `The form field "${fileField}" contains text instead of a file.`);
  if (file.bytes === 0) throw new AppError('empty_file', 'The file is empty: it has 0 bytes.');
  const charset = received.fields
    .find(({ head }) => head.field === charsetField)
    ?.bytes.toString('latin1')
    .trim();
  const filename = received.fileHead?.filename;
  return {
    file,
    filename: filename === undefined ? '' : decodeFilename(filename, charset || undefined),
    fields: decodeFields(
      received.fields.filter(({ head }) => fieldNames.includes(head.field)),
      charset || undefined,
    ),
  };
}

/** Whether the part is a text field. No image format consists of UTF-8 text. */
function isText({ bytes, head }: ReceivedFile, part: PartHead | undefined): boolean {
  if (part?.filename !== undefined || part?.type !== 'text/plain') return false;
  return bytes > 0 && bytes <= head.length && isUtf8(head) && !head.includes(0);
}

/** Decodes fields and returns their values by name. Rejects a form with two different values for the same field. */
function decodeFields(fields: ReceivedParts['fields'], formCharset: string | undefined): Map<string, string> {
  const values = new Map<string, string>();
  for (const { head, bytes } of fields) {
    const decoded = decodeText(bytes, head.charset ?? formCharset);
    const name = JSON.stringify(head.field);
    if ('problem' in decoded)
      throw invalidRequest(
        `The form field ${name} ${decoded.problem}. Send it as UTF-8, or declare its charset.`,
      );
    const previousValue = values.get(head.field);
    if (previousValue !== undefined && previousValue !== decoded.text)
      throw invalidRequest(`The form has the field ${name} more than once, with different values.`);
    values.set(head.field, decoded.text);
  }
  return values;
}

function secondFileError(): AppError {
  return invalidRequest('The form has more than one file in the field "file"; send one file per request.');
}

function tooManyError(kind: 'files' | 'fields', maximum: number): AppError {
  return invalidRequest(`The form has more than ${maximum} ${kind}.`);
}

function invalidRequest(message: string): AppError {
  return new AppError('invalid_request', message);
}

function tooLargeError(maxBytes: number, length?: number): AppError {
  const limit = `${maxBytes} bytes (${Math.round((maxBytes / 2 ** 20) * 100) / 100} MiB)`;
  return new AppError(
    'body_too_large',
    length === undefined
      ? `The file is larger than the limit of ${limit}.`
      : `The upload is ${length} bytes; the limit is ${limit}.`,
  );
}
