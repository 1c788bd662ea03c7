import type { Readable } from 'node:stream';

/** A stored file, as listed without opening it. */
export interface StoredFile {
  readonly key: string;
  readonly bytes: number;
  readonly modifiedAt: Date;
}

/** A range of bytes, both ends inclusive. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** A stored file as a path on this machine, for the decoder. Call `release` when done. */
export interface LocalCopy {
  readonly path: string;
  release(): Promise<void>;
}

/** A finished file in staging and its storage key. */
export interface StagedFile {
  readonly path: string;
  readonly key: string;
}

/** Options of a presigned URL for reading. The store sends the header values in its response. */
export interface ReadAddressOptions {
  /** Validity of the URL. */
  readonly seconds: number;
  /** The only method the URL is valid for. */
  readonly method: 'GET' | 'HEAD';
  readonly contentType?: string;
  readonly contentDisposition?: string;
  readonly cacheControl?: string;
}

/** A file that a client is about to upload directly to the store. */
export interface DirectUpload {
  /** The exact size. The store rejects any other. */
  readonly bytes: number;
  readonly filename: string | undefined;
}

/** A presigned URL for an upload, and the headers the client must send. */
export interface UploadAddress {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly expiresAt: Date;
}

/** A direct upload that is being read. */
export interface OpenUpload {
  readonly body: Readable;
  readonly filename: string | undefined;
}

/** Presigned URLs, with which clients read and upload files without going through this process. */
export interface DirectAccess {
  /** Returns a URL for a stored file. Does not check that the file exists. */
  readAddress(key: string, options: ReadAddressOptions): Promise<string>;
  /** Returns a URL for an upload; `key` comes from `incomingKey`. */
  uploadAddress(key: string, upload: DirectUpload): Promise<UploadAddress>;
  /** Opens a direct upload. @throws {FileMissing} */
  openUpload(key: string): Promise<OpenUpload>;
}

/**
 * Stores originals and renditions. Keys come from `keys.ts` and identify content, so storing a key twice is harmless.
 * Failures other than a missing file are `storage_failed` or `storage_full`.
 */
export interface Storage {
  readonly kind: string;
  /** Local folder where files are written before they are stored. */
  readonly stagingDirectory: string;
  /**
   * Stores finished staging files. Originals survive a power cut once this returns, and their staging files remain, so that
   * storing can be repeated. Derived files are moved; one lost in a power cut is regenerated from its original.
   */
  store(files: readonly StagedFile[], kind: 'original' | 'derived'): Promise<void>;
  /** Returns `undefined` if the file does not exist. */
  stat(key: string): Promise<StoredFile | undefined>;
  /** Opens a file as a stream. @throws {FileMissing} */
  read(key: string, range?: ByteRange): Promise<Readable>;
  /** Reads a whole file; for small files. @throws {FileMissing} */
  readAll(key: string): Promise<Buffer>;
  /** Provides a file as a local path. @throws {FileMissing} */
  localCopy(key: string): Promise<LocalCopy>;
  /** Removes a file, if it exists. */
  remove(key: string): Promise<void>;
  /** Iterates over all originals and renditions, in no particular order. */
  list(): AsyncIterable<StoredFile>;
  /** Returns the free bytes for new files, or `Infinity` if the store has no limit. */
  freeBytes(): Promise<number>;
  /**
   * Checks that the store responds, without writing to it. For a local folder, also checks that it is writable; for a bucket,
   * only `check` does that. @throws {AppError}
   */
  probe(): Promise<void>;
  /** Writes, reads and removes a small file. @throws {AppError} */
  check(): Promise<void>;
  /** Removes unfinished uploads in the store older than `olderThanMs` and returns how many. */
  sweepUnfinished(olderThanMs: number): Promise<number>;
  /** Presigned URLs; `undefined` if the store does not support them. */
  readonly direct: DirectAccess | undefined;
  /** Closes connections. No method may be called afterwards. */
  close(): Promise<void>;
}
