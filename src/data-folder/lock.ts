import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock, unlock } from 'fs-native-extensions';

/** The process that holds the lock on a data folder. */
export interface LockHolder {
  readonly pid: number;
  /** When the process acquired the lock, as an ISO 8601 time. */
  readonly since: string;
  /** URL of the process's server; absent until it is listening. */
  readonly url?: string;
}

/** A lock that this process holds. */
export interface DataFolderLock {
  /** Publishes the server's URL next to the lock, where commands find it. */
  publishUrl(url: string): void;
  release(): void;
}

/** Thrown if a different process holds the lock on the data folder. */
export class DataFolderInUse extends Error {
  override readonly name = 'DataFolderInUse';
  readonly holder: LockHolder | undefined;

  constructor(folder: string, holder: LockHolder | undefined) {
    const holderText = holder
      ? `process ${holder.pid}${holder.url ? `, which listens on ${holder.url}` : ''}`
      : 'another process';
    super(
      `The data folder ${folder} is in use by ${holderText}. Stop that process first, or set DATA_DIR to a different folder. The embedded database allows only one process. To run an API and workers side by side, set DATABASE_URL to a PostgreSQL server.`,
    );
    this.holder = holder;
  }
}

/**
 * The lock and the information about its holder are in separate files, because Windows does not allow other processes to
 * read a locked file.
 */
const lockPath = (folder: string) => join(folder, 'vitrine.lock');
const holderPath = (folder: string) => join(folder, 'vitrine.pid');

/**
 * Locks the data folder for this process. The kernel releases the lock when the process ends for any reason, even if the
 * process remains as a zombie. The kernel never releases the lock of a suspended process. A pid file offers neither
 * guarantee.
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

/**
 * Tries repeatedly for up to 100 ms, because `findLockHolder` in a different process may hold the lock for a moment.
 * Without the retries, such a check could prevent a server from starting.
 */
function tryLockWithRetries(fd: number): boolean {
  for (let attempt = 0; attempt < 5; attempt++) {
    if (tryLock(fd)) return true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
  return false;
}

/** Returns the process that holds the lock, or `undefined` if the folder is not locked. */
export function findLockHolder(folder: string): LockHolder | undefined {
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
