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

/** Number of bytes needed to identify any of the formats below. */
const signatureBytes = 12;

/** Base-2 logarithm of the maximum window size. RFC 9659 limits the window to 8 MiB for HTTP. */
const maxZstdWindowLog = 23;

/**
 * Decompresses a body that was sent with content codings. Detects the format from the first bytes, because files in
 * buckets often have an incorrect `Content-Encoding` (e.g. `utf-8`, `base64` or `aws-chunked`). Compressed data is
 * decompressed once, and other data is returned unchanged. The window size of each format limits the memory used. The
 * caller must limit the decompressed size.
 * @param codings lower-case names from the response headers
 */
export async function decompressBody(body: Readable, codings: readonly string[]): Promise<Readable> {
  const source = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const firstBytes = await readFirstBytes(source);
  const completeBody = Readable.from(prepend(firstBytes, source), { objectMode: false });
  const format = identifyFormat(firstBytes, codings);
  return format === undefined
    ? completeBody
    : Readable.from(decompress(completeBody, format), { objectMode: false });
}

async function* decompress(body: Readable, format: Format): AsyncGenerator<Buffer> {
  const decompressor = decompressors[format]();
  body.once('error', (error) => decompressor.destroy(error));
  try {
    yield* body.pipe(decompressor) as AsyncIterable<Buffer>;
  } catch (error) {
    // An `AppError` is from `body`. Every other error is from the decompressor.
    throw error instanceof AppError ? error : corruptBody(format, error);
  } finally {
    body.destroy();
  }
}

async function readFirstBytes(source: AsyncIterator<Buffer>): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  while (bytes.length < signatureBytes) {
    const { value, done } = await source.next();
    if (done) break;
    bytes = Buffer.concat([bytes, value]);
  }
  return bytes;
}

async function* prepend(bytes: Buffer, source: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (bytes.length > 0) yield bytes;
  for (;;) {
    const { value, done } = await source.next();
    if (done) return;
    yield value;
  }
}

const decompressors = {
  gzip: () => createGunzip(),
  zstd: () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: maxZstdWindowLog } }),
  deflate: () => createInflate(),
  'raw deflate': () => createInflateRaw(),
  br: () => createBrotliDecompress(),
} as const;

type Format = keyof typeof decompressors;

/**
 * Identifies the compression format. Brotli and raw deflate have no signature, so the declared coding is trusted unless
 * the bytes are the start of an image file.
 */
function identifyFormat(firstBytes: Buffer, codings: readonly string[]): Format | undefined {
  if (startsWith(firstBytes, 0x1f, 0x8b, 0x08)) return 'gzip';
  if (startsWith(firstBytes, 0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  if (isImageStart(firstBytes)) return undefined;
  if (codings.includes('deflate')) return isZlib(firstBytes) ? 'deflate' : 'raw deflate';
  return codings.includes('br') ? 'br' : undefined;
}

function startsWith(bytes: Buffer, ...signature: readonly number[]): boolean {
  return bytes.subarray(0, signature.length).equals(Buffer.from(signature));
}

/** Checks for a zlib header: compression method 8, and a checksum that makes the two bytes a multiple of 31. */
function isZlib(bytes: Buffer): boolean {
  return bytes.length >= 2 && ((bytes[0] ?? 0) & 0x0f) === 8 && bytes.readUInt16BE() % 31 === 0;
}

/** Detects JPEG, PNG, GIF, WebP, TIFF, BMP, AVIF and other formats with the same container as AVIF. */
function isImageStart(bytes: Buffer): boolean {
  return (
    /^(\xff\xd8\xff|\x89PNG|GIF8|RIFF|II[*+]\0|MM\0[*+]|BM)/.test(bytes.toString('latin1')) ||
    bytes.toString('latin1', 4, 8) === 'ftyp'
  );
}

function corruptBody(format: string, cause: unknown): AppError {
  const message = `The server sent the file compressed (${format}), but the compressed data is corrupt or truncated.`;
  return new AppError('source_refused', message, { cause });
}
