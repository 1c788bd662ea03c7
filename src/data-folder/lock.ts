import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock, unlock } from 'fs-native-extensions';

/** The process that holds the lock of a data folder. */
export interface LockHolder {
  readonly pid: number;
  /** When the holder took the lock, ISO 8601. */
  readonly since: string;
  /** Address of the holder's server; absent until it listens. */
  readonly url?: string;
}

/** A held lock. */
export interface DataFolderLock {
  /** Publishes the server's address beside the lock, where commands find it. */
  publishUrl(url: string): void;
  release(): void;
}

/** Another process holds the data folder. */
export class DataFolderInUse extends Error {
  override readonly name = 'DataFolderInUse';
  readonly holder: LockHolder | undefined;

  constructor(folder: string, holder: LockHolder | undefined) {
    const user = holder
      ? `process ${holder.pid}${holder.url ? `, which listens on ${holder.url}` : ''}`
      : 'another process';
    super(
      `The data folder ${folder} is in use by ${user}. Stop it first, or set DATA_DIR to another folder. The embedded database allows one process only: to run an API and workers side by side, set DATABASE_URL to a PostgreSQL server.`,
    );
    this.holder = holder;
  }
}

/** Two files, because on Windows a locked file cannot be read, and the holder's address must be readable. */
const lockPath = (folder: string) => join(folder, 'vitrine.lock');
const holderPath = (folder: string) => join(folder, 'vitrine.pid');

/**
 * Locks the data folder for this process. The kernel owns the lock: it is released when the process ends for any reason,
 * even before a zombie is reaped, and never while the process exists, even if it is suspended. A pid file could only
 * guess both.
 * @throws {DataFolderInUse}
 */
export function lockDataFolder(folder: string): DataFolderLock {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const fd = openSync(lockPath(folder), 'a+');
  if (!tryLockWithRetries(fd)) {
    closeSync(fd);
    throw new DataFolderInUse(folder, readHolder(folder));
  }
  const holder: LockHolder = { pid: process.pid, since: new Date().toISOString() };
  writeHolder(folder, holder);
  return {
    publishUrl: (url) => writeHolder(folder, { ...holder, url }),
    release() {
      writeHolder(folder, undefined);
      unlock(fd);
      closeSync(fd);
    },
  };
}

/** Retries briefly, because `findHolder` holds the lock for a moment and must not block a server that starts just then. */
function tryLockWithRetries(fd: number): boolean {
  for (let tries = 0; tries < 5; tries++) {
    if (tryLock(fd)) return true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
  return false;
}

/** Returns the process that holds the folder, or `undefined` if it is not locked. */
export function findHolder(folder: string): LockHolder | undefined {
  let fd: number;
  try {
    fd = openSync(lockPath(folder), 'r+');
  } catch {
    return undefined;
  }
  const isFree = tryLock(fd);
  if (isFree) unlock(fd);
  closeSync(fd);
  return isFree ? undefined : readHolder(folder);
}

function writeHolder(folder: string, holder: LockHolder | undefined): void {
  const fd = openSync(holderPath(folder), 'a');
  ftruncateSync(fd);
  if (holder) writeSync(fd, `${JSON.stringify(holder)}\n`);
  closeSync(fd);
}

function readHolder(folder: string): LockHolder | undefined {
  try {
    return JSON.parse(readFileSync(holderPath(folder), 'utf8')) as LockHolder;
  } catch {
    return undefined;
  }
}
