import type { IncomingMessage } from 'node:http';
import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy';
import { AppError } from '../errors.ts';
import type { AssertFreeSpace } from '../storage/free-space.ts';
import type { ReceivedFile, Staging } from '../storage/staging.ts';

/** Limits of a form beside that of its file. They are far above what any documented call sends. */
const formLimits = {
  files: 4,
  fields: 20,
  parts: 24,
  fieldNameSize: 100,
  fieldSize: 8_192,
  headerPairs: 100,
};

/** What a form is larger than its file by, at most. */
const formOverhead = 256 * 1024;

/** A form with one file, which lies in staging. Whoever takes it discards the file. */
export interface UploadForm {
  readonly file: ReceivedFile;
  readonly filename: string;
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
 * @throws {AppError} `unsupported_body`, `body_too_large`, `missing_file`, `empty_file`, `body_cut_short`,
 *   `request_timeout`, `invalid_request`, `storage_full`. Nothing stays in staging then.
 */
export type ReceiveUploadForm = (request: IncomingMessage) => Promise<UploadForm>;

/** @see ReceiveUploadForm */
export function makeReceiveUploadForm(parts: Parts): ReceiveUploadForm {
  return async (request) => {
    const length = Number(request.headers['content-length'] ?? 0);
    if (length > parts.maxBytes + formOverhead) throw tooLarge(parts.maxBytes, length);
    await parts.assertFreeSpace();
    // It may have been cut meanwhile; its events are over then, and nothing would end the form.
    if (request.destroyed && !request.complete) throw cutConnection();
    const form = readForm(parts, request);
    try {
      await form.ended;
      return await requireFile(form);
    } catch (error) {
      form.abandon(error);
      // A disk that takes no more ends its part in the middle, and that looks like a form that was cut.
      let reason = error;
      const received = await form.file().catch((failure: unknown) => {
        if (failure instanceof AppError) reason = failure;
      });
      if (received) await parts.staging.discard(received.path);
      throw reason;
    }
  };
}

interface Form {
  readonly ended: Promise<void>;
  readonly fields: ReadonlyMap<string, string>;
  readonly otherFiles: readonly string[];
  file(): Promise<ReceivedFile | undefined>;
  filename(): string;
  abandon(reason: unknown): void;
}

function readForm({ staging, maxBytes, idleMs }: Parts, request: IncomingMessage): Form {
  const parser = makeParser(request, maxBytes);
  const { promise: ended, resolve: end, reject: fail } = Promise.withResolvers<void>();
  const fields = new Map<string, string>();
  const otherFiles: string[] = [];
  let stream: BusboyFileStream | undefined;
  let receiving: Promise<ReceivedFile> | undefined;
  let name = '';
  let abandoned = false;

  parser.on('file', (field, part, filename) => {
    // A part that is cut short says so here too, perhaps before anyone reads it; unheard, that would end the process.
    part.on('error', () => fail(cutShort()));
    if (field === 'file' && receiving)
      fail(
        new AppError(
          'invalid_request',
          'The form has more than one file in the field "file"; send one file in each request.',
        ),
      );
    if (field !== 'file' || receiving || abandoned) {
      otherFiles.push(field);
      part.resume();
      return;
    }
    [stream, name] = [part, filename];
    part.once('limit', () => fail(tooLarge(maxBytes)));
    receiving = staging.receive(part);
    receiving.catch(fail);
  });
  parser.on('field', (field, value, nameCut, valueCut) => {
    if (nameCut || valueCut)
      fail(
        new AppError(
          'invalid_request',
          `The form field ${field} is longer than ${formLimits.fieldSize} bytes.`,
        ),
      );
    else fields.set(field, value);
  });
  for (const limit of ['partsLimit', 'filesLimit', 'fieldsLimit'] as const) {
    parser.once(limit, () =>
      fail(
        new AppError(
          'invalid_request',
          `The form has more than ${formLimits.parts} parts, ${formLimits.fields} fields or ${formLimits.files} files.`,
        ),
      ),
    );
  }
  parser.once('finish', end);
  parser.on('error', () => fail(cutShort()));
  watch(request, idleMs, fail);
  request.pipe(parser);
  ended.catch(() => undefined);

  return {
    ended,
    fields,
    otherFiles,
    file: async () => receiving,
    filename: () => name,
    abandon(reason) {
      abandoned = true;
      request.unpipe(parser);
      stream?.destroy(reason instanceof Error ? reason : undefined);
    },
  };
}

function makeParser(request: IncomingMessage, maxBytes: number): BusboyInstance {
  const contentType = request.headers['content-type'] ?? '';
  try {
    return new Busboy({
      headers: { ...request.headers, 'content-type': contentType },
      limits: { ...formLimits, fileSize: maxBytes },
    });
  } catch (error) {
    throw new AppError(
      'unsupported_body',
      'The body must be multipart/form-data with a boundary and a field "file".',
      { cause: error },
    );
  }
}

/** Ends the form when its request is cut or stands still. */
function watch(request: IncomingMessage, idleMs: number, fail: (error: AppError) => void): void {
  const idle = setTimeout(
    () => fail(new AppError('request_timeout', `No bytes came for ${idleMs / 1000} s.`)),
    idleMs,
  );
  request.on('data', () => idle.refresh());
  request.once('error', () => fail(cutConnection()));
  request.once('close', () => {
    clearTimeout(idle);
    if (!request.complete) fail(cutConnection());
  });
}

async function requireFile(form: Form): Promise<UploadForm> {
  const file = await form.file();
  if (!file) {
    const others =
      form.otherFiles.length > 0 ? `; it has a file in the field ${JSON.stringify(form.otherFiles[0])}` : '';
    throw new AppError('missing_file', `The form has no file in the field "file"${others}.`);
  }
  if (file.bytes === 0) throw new AppError('empty_file', 'The file is empty: it has 0 bytes.');
  return { file, filename: form.filename(), fields: form.fields };
}

function cutConnection(): AppError {
  return new AppError('body_cut_short', 'The connection ended before the body did.');
}

function cutShort(): AppError {
  return new AppError('body_cut_short', 'The form ended in the middle: its closing boundary is missing.');
}

function tooLarge(maxBytes: number, length?: number): AppError {
  const size = length === undefined ? 'The file is larger' : `The upload has ${length} bytes`;
  return new AppError(
    'body_too_large',
    `${size}; the limit is ${maxBytes} bytes (${Math.round((maxBytes / 2 ** 20) * 100) / 100} MiB).`,
  );
}
