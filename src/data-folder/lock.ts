import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock, unlock } from 'fs-native-extensions';

/** Who holds a data folder. */
export interface LockHolder {
  readonly pid: number;
  /** When the holder took the lock, ISO 8601. */
  readonly since: string;
  /** Where the holder's server listens; absent until it does. */
  readonly url?: string;
}

/** A held lock. */
export interface DataFolderLock {
  /** Writes the server's address into the lock, where the command line finds it. */
  publishUrl(url: string): void;
  release(): void;
}

/** Thrown when another process holds the folder. */
export class DataFolderInUse extends Error {
  override readonly name = 'DataFolderInUse';
  readonly holder: LockHolder | undefined;

  constructor(folder: string, holder: LockHolder | undefined) {
    const who = holder
      ? `process ${holder.pid}${holder.url ? `, which listens on ${holder.url}` : ''}`
      : 'another process';
    super(
      `The data folder ${folder} is in use by ${who}. Stop it first, or set DATA_DIR to another folder. The embedded database serves one process: for an API and workers side by side, set DATABASE_URL to a PostgreSQL server.`,
    );
    this.holder = holder;
  }
}

/** Two files: on Windows a locked file cannot be read, and the holder's address must be readable. */
const lockPath = (folder: string) => join(folder, 'vitrine.lock');
const holderPath = (folder: string) => join(folder, 'vitrine.pid');

/**
 * Takes the data folder for this process. The lock is the kernel's: it ends with the process, however that dies, also
 * when nobody reaps it, and it never ends while the process lives, also when it is stopped. A file with a pid in it
 * would have to guess both.
 * @throws {DataFolderInUse}
 */
export function lockDataFolder(folder: string): DataFolderLock {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const fd = openSync(lockPath(folder), 'a+');
  if (!tryLockPatiently(fd)) {
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

/** A glance by `findHolder` holds the lock for a moment; it must not refuse a server that starts just then. */
function tryLockPatiently(fd: number): boolean {
  for (let tries = 0; tries < 5; tries++) {
    if (tryLock(fd)) return true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
  return false;
}

/** Who holds the folder now, or `undefined` when nobody does. */
export function findHolder(folder: string): LockHolder | undefined {
  let fd: number;
  try {
    fd = openSync(lockPath(folder), 'r+');
  } catch {
    return undefined;
  }
  const free = tryLock(fd);
  if (free) unlock(fd);
  closeSync(fd);
  return free ? undefined : readHolder(folder);
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
