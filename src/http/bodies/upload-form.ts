import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { AppError } from '../../errors.ts';
import type { AssertFreeSpace } from '../../storage/free-space.ts';
import type { ReceivedFile, Staging } from '../../storage/staging.ts';
import { decodeFilename, type PartHead } from './part-head.ts';
import { cutConnection, type PartReader, readParts } from './read-parts.ts';
import { decodeText } from '../text/charset.ts';

/** Limits of a form beside that of its file. They are far above what any documented call sends. */
const formLimits = {
  files: 4,
  fields: 20,
  parts: 24,
  fieldNameSize: 100,
  fieldSize: 8_192,
};

/** What a form is larger than its file by, at most. */
const formOverhead = 256 * 1024;

/** The field whose part is the picture, regardless of its other headers. */
const fileField = 'file';

/** The field in which a form declares the charset of its other fields and file names (RFC 7578 §4.6). */
const charsetField = '_charset_';

/** A form with one file, which lies in staging. Whoever takes it discards the file. */
export interface UploadForm {
  readonly file: ReceivedFile;
  /** Empty if the form has no name for the file. */
  readonly filename: string;
  /** The fields requested by the caller that the form contains. */
  readonly fields: ReadonlyMap<string, string>;
}

interface Parts {
  readonly staging: Staging;
  readonly assertFreeSpace: AssertFreeSpace;
  readonly maxBytes: number;
  /** Longest pause between two packets. */
  readonly idleMs: number;
}

/**
 * Reads a `multipart/form-data` body: its `file` goes to staging while it arrives, its fields may stand before or after.
 * Fields that `names` does not have are skipped, whatever they hold: clients send more than one service needs.
 * @throws {AppError} `unsupported_body`, `body_too_large`, `missing_file`, `empty_file`, `body_cut_short`,
 *   `request_timeout`, `invalid_request`, `storage_full`. Nothing stays in staging then.
 */
export type ReceiveUploadForm = (request: IncomingMessage, names?: readonly string[]) => Promise<UploadForm>;

/** @see ReceiveUploadForm */
export function makeReceiveUploadForm(parts: Parts): ReceiveUploadForm {
  return async (request, names = []) => {
    const length = Number(request.headers['content-length'] ?? 0);
    if (length > parts.maxBytes + formOverhead) throw tooLarge(parts.maxBytes, length);
    await parts.assertFreeSpace();
    // It may have been cut meanwhile; its events are over then, and nothing would end the form.
    if (request.destroyed && !request.complete) throw cutConnection();
    const form = readForm(parts, request);
    try {
      await form.reader.ended;
      return await requireFile(form, names);
    } catch (error) {
      form.reader.abandon(error);
      // A disk that takes no more ends its part in the middle, and that looks like a form that was cut.
      let reason = error;
      const received = await form.received.file?.catch((failure: unknown) => {
        if (failure instanceof AppError) reason = failure;
      });
      if (received) await parts.staging.discard(received.path);
      throw reason;
    }
  };
}

/** The parts of a form received so far. Text is decoded at the end, when the charset of the form is known. */
interface Received {
  file: Promise<ReceivedFile> | undefined;
  head: PartHead | undefined;
  /** In order of completion; parts are still being read when the next ones begin. */
  readonly fields: { readonly head: PartHead; readonly bytes: Buffer }[];
  begunFields: number;
  readonly otherFiles: string[];
}

interface Form {
  readonly reader: PartReader;
  readonly received: Received;
}

function readForm({ staging, maxBytes, idleMs }: Parts, request: IncomingMessage): Form {
  const received: Received = { file: undefined, head: undefined, fields: [], begunFields: 0, otherFiles: [] };
  const limits = { parts: formLimits.parts, bodyBytes: maxBytes + formOverhead, idleMs };
  const reader = readParts(request, limits, async (head, body) => {
    if (head.field === fileField) {
      if (received.file) throw secondFile();
      received.head = head;
      received.file = staging.receive(limited(body, maxBytes));
      await received.file;
    } else if (isOtherFile(head)) {
      received.otherFiles.push(head.field);
      if (received.otherFiles.length >= formLimits.files) throw tooMany('files', formLimits.files);
      body.resume();
    } else {
      received.begunFields += 1;
      if (received.begunFields > formLimits.fields) throw tooMany('fields', formLimits.fields);
      received.fields.push({ head, bytes: await readField(head.field, body) });
    }
  });
  return { reader, received };
}

/** A field that contains the bytes of a picture is a file even without a file name. */
function isOtherFile({ filename, type }: PartHead): boolean {
  return filename !== undefined || type.startsWith('image/');
}

async function* limited(body: Readable, maxBytes: number): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    yield chunk;
  }
}

async function readField(name: string, body: Readable): Promise<Buffer> {
  if (name.length > formLimits.fieldNameSize)
    throw invalid(`The name of a form field is longer than ${formLimits.fieldNameSize} characters.`);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > formLimits.fieldSize) {
      throw invalid(
        `The form field ${JSON.stringify(name)} is longer than ${formLimits.fieldSize} bytes; a picture belongs into the field "${fileField}".`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function requireFile({ received }: Form, names: readonly string[]): Promise<UploadForm> {
  const file = await received.file;
  if (!file) {
    const [other] = received.otherFiles;
    const others = other === undefined ? '' : `; it has a file in the field ${JSON.stringify(other)}`;
    throw new AppError('missing_file', `The form has no file in the field "${fileField}"${others}.`);
  }
  if (isText(file, received.head))
    throw new AppError(
      'missing_file',
      `The field "${fileField}" of the form has text in the place of a file.`,
    );
  if (file.bytes === 0) throw new AppError('empty_file', 'The file is empty: it has 0 bytes.');
  const charset = received.fields
    .find(({ head }) => head.field === charsetField)
    ?.bytes.toString('latin1')
    .trim();
  const filename = received.head?.filename;
  return {
    file,
    filename: filename === undefined ? '' : decodeFilename(filename, charset || undefined),
    fields: decodeFields(
      received.fields.filter(({ head }) => names.includes(head.field)),
      charset || undefined,
    ),
  };
}

/** No picture format begins with plain text, so a part of this type is a text field. */
function isText({ bytes, head }: ReceivedFile, part: PartHead | undefined): boolean {
  if (part?.filename !== undefined || part?.type !== 'text/plain') return false;
  return bytes > 0 && bytes <= head.length && isUtf8(head) && !head.includes(0);
}

/** A field repeated with a different value is ambiguous. */
function decodeFields(fields: Received['fields'], formCharset: string | undefined): Map<string, string> {
  const values = new Map<string, string>();
  for (const { head, bytes } of fields) {
    const decoded = decodeText(bytes, head.charset ?? formCharset);
    const name = JSON.stringify(head.field);
    if ('fault' in decoded)
      throw invalid(`The form field ${name} ${decoded.fault}. Send it as UTF-8, or declare its charset.`);
    const before = values.get(head.field);
    if (before !== undefined && before !== decoded.text)
      throw invalid(`The form has the field ${name} more than once, with different values.`);
    values.set(head.field, decoded.text);
  }
  return values;
}

function secondFile(): AppError {
  return invalid('The form has more than one file in the field "file"; send one file in each request.');
}

function tooMany(what: 'files' | 'fields', maximum: number): AppError {
  return invalid(`The form has more than ${maximum} ${what}.`);
}

function invalid(sentence: string): AppError {
  return new AppError('invalid_request', sentence);
}

function tooLarge(maxBytes: number, length?: number): AppError {
  const size = length === undefined ? 'The file is larger' : `The upload has ${length} bytes`;
  return new AppError(
    'body_too_large',
    `${size}; the limit is ${maxBytes} bytes (${Math.round((maxBytes / 2 ** 20) * 100) / 100} MiB).`,
  );
}
