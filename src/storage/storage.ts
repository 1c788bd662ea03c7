import type { Readable } from 'node:stream';

/** A stored file's metadata, read without opening the file. */
export interface StoredFile {
  readonly key: string;
  readonly bytes: number;
  readonly modifiedAt: Date;
}

/** A byte range. Both ends are inclusive. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** A stored file at a local path, for the decoder. Call `release` when the path is no longer needed. */
export interface LocalCopy {
  readonly path: string;
  release(): Promise<void>;
}

/** A finished staging file and its storage key. */
export interface StagedFile {
  readonly path: string;
  readonly key: string;
}

/** Options of a presigned read URL. The object store sends the given header values in its response. */
export interface ReadUrlOptions {
  /** How long the URL is valid. */
  readonly seconds: number;
  /** The only method the URL is valid for. */
  readonly method: 'GET' | 'HEAD';
  readonly contentType?: string;
  readonly contentDisposition?: string;
  readonly cacheControl?: string;
}

/** A file that a client is about to upload directly to the object store. */
export interface DirectUpload {
  /** The exact size. The object store rejects files of any other size. */
  readonly bytes: number;
  readonly filename: string | undefined;
}

/** A presigned upload URL, and the headers that the client must send. */
export interface UploadUrl {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly expiresAt: Date;
}

/** A direct upload that is being read. */
export interface OpenUpload {
  readonly body: Readable;
  readonly filename: string | undefined;
}

/** Access through presigned URLs: clients read and upload files without going through this process. */
export interface DirectAccess {
  /** Returns a URL for reading a stored file. Does not check that the file exists. */
  presignRead(key: string, options: ReadUrlOptions): Promise<string>;
  /** Returns a URL for an upload. @param key created by `incomingKey` */
  presignUpload(key: string, upload: DirectUpload): Promise<UploadUrl>;
  /** Opens a direct upload. @throws {FileMissing} */
  openUpload(key: string): Promise<OpenUpload>;
}

/**
 * Stores originals and renditions. Keys are created by `keys.ts` and identify content, so storing the same key twice
 * is harmless. All errors except `FileMissing` have the code `storage_failed` or `storage_full`.
 */
export interface Storage {
  readonly kind: string;
  /** Local folder where files are written before they are stored. */
  readonly stagingDirectory: string;
  /**
   * Stores finished staging files. Once this returns, originals survive a power failure. Their staging files remain, so
   * that the call can be repeated. Derived files are moved. They may be lost in a power failure, and are then
   * derived from the original again.
   */
  store(files: readonly StagedFile[], kind: 'original' | 'derived'): Promise<void>;
  /** Returns a file's metadata, or `undefined` if the file does not exist. */
  stat(key: string): Promise<StoredFile | undefined>;
  /** Opens a file as a stream. @throws {FileMissing} */
  read(key: string, range?: ByteRange): Promise<Readable>;
  /** Reads a whole small file into memory. @throws {FileMissing} */
  readAll(key: string): Promise<Buffer>;
  /** Makes a file available at a local path. @throws {FileMissing} */
  localCopy(key: string): Promise<LocalCopy>;
  /** Removes a file, if it exists. */
  remove(key: string): Promise<void>;
  /** Iterates over all originals and renditions, in no particular order. */
  list(): AsyncIterable<StoredFile>;
  /** Returns the free space on the local disk to which new files are written, in bytes. */
  freeBytes(): Promise<number>;
  /**
   * Checks that storage responds, without writing anything. For a local folder, also checks the write permission. For a
   * bucket, only `check` tests whether writing is possible. @throws {AppError}
   */
  probe(): Promise<void>;
  /** Writes, reads and removes a small file. @throws {AppError} */
  check(): Promise<void>;
  /** Removes unfinished uploads older than `olderThanMs` from storage. Returns the number of uploads removed. */
  sweepUnfinished(olderThanMs: number): Promise<number>;
  /** Access through presigned URLs; `undefined` if this kind of storage does not support it. */
  readonly directAccess: DirectAccess | undefined;
  /** Closes all connections. No method may be called afterwards. */
  close(): Promise<void>;
}
