import { Readable } from 'node:stream';
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib';
import { AppError } from '../errors.ts';

/** Enough to identify every format below. */
const peekedBytes = 12;

/** The limit of RFC 9659 for HTTP, 8 MiB of memory. */
const zstdWindowBits = 23;

/**
 * Decompresses a body that was sent with content codings. Buckets store whatever their users entered as a coding (`utf-8`,
 * `base64`, `aws-chunked`), so the bytes decide: compressed data is decompressed once, everything else is passed through.
 * Memory is bounded by the windows of the formats; the caller limits the decompressed size.
 * @param codings names from the response, in lower case
 */
export async function unpackBody(body: Readable, codings: readonly string[]): Promise<Readable> {
  const source = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const first = await peek(source);
  const whole = Readable.from(rejoined(first, source), { objectMode: false });
  const format = formatOf(first, codings);
  return format === undefined ? whole : Readable.from(unpacked(whole, format), { objectMode: false });
}

async function* unpacked(whole: Readable, format: keyof typeof unpackers): AsyncGenerator<Buffer> {
  const unpacker = unpackers[format]();
  whole.once('error', (error) => unpacker.destroy(error));
  try {
    yield* whole.pipe(unpacker) as AsyncIterable<Buffer>;
  } catch (error) {
    // Connection errors are already mapped.
    throw error instanceof AppError ? error : damaged(format, error);
  } finally {
    whole.destroy();
  }
}

async function peek(source: AsyncIterator<Buffer>): Promise<Buffer> {
  let first = Buffer.alloc(0);
  while (first.length < peekedBytes) {
    const { value, done } = await source.next();
    if (done) break;
    first = Buffer.concat([first, value]);
  }
  return first;
}

async function* rejoined(first: Buffer, source: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (first.length > 0) yield first;
  for (;;) {
    const { value, done } = await source.next();
    if (done) return;
    yield value;
  }
}

const unpackers = {
  gzip: () => createGunzip(),
  zstd: () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: zstdWindowBits } }),
  deflate: () => createInflate(),
  'raw deflate': () => createInflateRaw(),
  br: () => createBrotliDecompress(),
} as const;

/** Brotli and raw deflate have no signature: the declared coding is trusted unless the bytes are the start of a picture. */
function formatOf(first: Buffer, codings: readonly string[]): keyof typeof unpackers | undefined {
  if (startsWith(first, 0x1f, 0x8b, 0x08)) return 'gzip';
  if (startsWith(first, 0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  if (isPictureStart(first)) return undefined;
  if (codings.includes('deflate')) return isZlib(first) ? 'deflate' : 'raw deflate';
  return codings.includes('br') ? 'br' : undefined;
}

function startsWith(bytes: Buffer, ...signature: readonly number[]): boolean {
  return bytes.subarray(0, signature.length).equals(Buffer.from(signature));
}

/** The header of a zlib stream is a multiple of 31. */
function isZlib(first: Buffer): boolean {
  return first.length >= 2 && ((first[0] ?? 0) & 0x0f) === 8 && first.readUInt16BE() % 31 === 0;
}

/** Recognises JPEG, PNG, GIF, WebP, TIFF, BMP, AVIF and its relatives. */
function isPictureStart(first: Buffer): boolean {
  return (
    /^(\xff\xd8\xff|\x89PNG|GIF8|RIFF|II[*+]\0|MM\0[*+]|BM)/.test(first.toString('latin1')) ||
    first.toString('latin1', 4, 8) === 'ftyp'
  );
}

function damaged(format: string, cause: unknown): AppError {
  const message = `The server sent the file compressed (${format}), but it cannot be decompressed: it is damaged or cut.`;
  return new AppError('source_refused', message, { cause });
}
