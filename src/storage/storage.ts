import type { Readable } from 'node:stream';

/** What storage knows of a file without opening it. */
export interface StoredFile {
  readonly key: string;
  readonly bytes: number;
  readonly modifiedAt: Date;
}

/** Part of a file: first and last byte, both inclusive. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** A stored file as a path on this machine, for the decoder. `release` when done. */
export interface LocalCopy {
  readonly path: string;
  release(): Promise<void>;
}

/** A finished file in staging and the key that it is stored under. */
export interface StagedFile {
  readonly path: string;
  readonly key: string;
}

/** How an address for reading is to be answered; the store puts these values into the headers of its answer. */
export interface ReadAddressOptions {
  /** How long the address works. */
  readonly seconds: number;
  /** The method that it works for. */
  readonly method: 'GET' | 'HEAD';
  readonly contentType?: string;
  readonly contentDisposition?: string;
  readonly cacheControl?: string;
}

/** What is known of a file that a client is about to send. */
export interface DirectUpload {
  /** Its exact size; the store refuses another one. */
  readonly bytes: number;
  readonly filename: string | undefined;
}

/** Where a client puts a file, with the headers that it has to send. */
export interface UploadAddress {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly expiresAt: Date;
}

/** A file that a client sent, while it is read. */
export interface OpenUpload {
  readonly body: Readable;
  readonly filename: string | undefined;
}

/** Presigned addresses: clients read and send files without this process in between. */
export interface DirectAccess {
  /** An address for a stored file. Whether the file is there is not looked at. */
  readAddress(key: string, options: ReadAddressOptions): Promise<string>;
  /** An address where a client puts a file; `key` is made by `incomingKey`. */
  uploadAddress(key: string, upload: DirectUpload): Promise<UploadAddress>;
  /** A file that a client put. @throws {FileMissing} when there is no such file. */
  openUpload(key: string): Promise<OpenUpload>;
}

/**
 * Where originals and renditions lie. Keys are made by `keys.ts` and name content, so a key never changes what it
 * holds: storing twice is harmless. Failures other than "not there" are `storage_failed` or `storage_full`.
 */
export interface Storage {
  readonly kind: string;
  /** Folder on this machine where files are written before `store` takes them. */
  readonly stagingDirectory: string;
  /**
   * Stores finished staging files. Originals survive a power cut when this returns, and their staging files stay, so
   * that storing can be repeated. Derived files are moved: one that a power cut takes is made again from its original.
   */
  store(files: readonly StagedFile[], kind: 'original' | 'derived'): Promise<void>;
  /** `undefined` when there is no such file. */
  stat(key: string): Promise<StoredFile | undefined>;
  /** The file as a stream. @throws {FileMissing} when there is no such file. */
  read(key: string, range?: ByteRange): Promise<Readable>;
  /** The whole file, for small ones. @throws {FileMissing} when there is no such file. */
  readAll(key: string): Promise<Buffer>;
  /** @throws {FileMissing} when there is no such file. */
  localCopy(key: string): Promise<LocalCopy>;
  /** Removes a file; one that is gone already is fine. */
  remove(key: string): Promise<void>;
  /** Every original and rendition, in no order. */
  list(): AsyncIterable<StoredFile>;
  /** Free bytes for new files; `Infinity` when the store does not tell. */
  freeBytes(): Promise<number>;
  /**
   * Checks that the store responds, without writing anything. A local folder also shows whether it may be written to; a
   * bucket shows that to `check` only. @throws {AppError}
   */
  probe(): Promise<void>;
  /** Writes, reads and removes a small file. @throws {AppError} that says what does not work. */
  check(): Promise<void>;
  /** Removes what was begun in the store and not finished for `olderThanMs`; answers how many. */
  sweepUnfinished(olderThanMs: number): Promise<number>;
  /** `undefined` when only this process reaches the files. */
  readonly direct: DirectAccess | undefined;
  /** Frees connections. Nothing may be called afterwards. */
  close(): Promise<void>;
}
