import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Size of the small disk, as a tmpfs option. */
const size = '160m';

/** Returns whether tests can mount a disk in a mount namespace. Prints a note if they cannot. */
export function canMountSmallDisks(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'vitrine-test-'));
  const [program, ...args] = mountCommand(folder, 'true');
  const canMount = spawnSync(program, args, { timeout: 10_000 }).status === 0;
  rmdirSync(folder);
  if (!canMount)
    process.stdout.write(
      'SKIPPED: tests with a full disk. They need "unshare" and permission to mount a tmpfs.\n',
    );
  return canMount;
}

/**
 * Returns a command that mounts a small disk on `folder` in a new namespace, keeps the folder's files, and executes
 * `command`.
 */
function mountCommand(folder: string, ...command: string[]): [string, ...string[]] {
  const script = `keep=$(mktemp -d) && cp -a "$0/." "$keep" && mount -t tmpfs -o size=${size} none "$0" &&
    cp -a "$keep/." "$0" && rm -r "$keep" && echo ready && exec "$@"`;
  return ['unshare', '-m', 'sh', '-c', script, folder, ...command];
}

/** A small disk that is mounted on a folder for one test. Only processes started with `wrapper` can see the disk. */
export interface SmallDisk {
  /** Prefix for commands that use the disk. */
  readonly wrapper: readonly string[];
  /** Fills the disk except for `freeBytes`. */
  fill(freeBytes: number): void;
  /** Frees part of the filled space. */
  freeSome(bytes: number): void;
  /** Frees all filled space. */
  freeAll(): void;
}

/** Mounts a small disk on `folder` for one test. */
export async function mountSmallDisk(folder: string): Promise<SmallDisk> {
  const [program, ...args] = mountCommand(folder, 'sleep', '86400');
  const holder = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  const root = join(`/proc/${holder.pid}/root`, folder);
  const filler = join(root, 'filler');
  return {
    wrapper: ['nsenter', `--mount=/proc/${holder.pid}/ns/mnt`],
    fill(freeBytes) {
      const writtenBytes = writeUntilFull(filler);
      truncateSync(filler, Math.max(0, writtenBytes - freeBytes));
    },
    freeSome: (bytes) => truncateSync(filler, Math.max(0, statSync(filler).size - bytes)),
    freeAll() {
      rmSync(filler, { force: true });
      if (statfsSync(root).bavail === 0) throw new Error('Other files fill the disk.');
    },
  };
}

function writeUntilFull(path: string): number {
  const file = openSync(path, 'w');
  const block = Buffer.alloc(65_536);
  let writtenBytes = 0;
  try {
    for (;;) writtenBytes += writeSync(file, block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    return writtenBytes;
  } finally {
    closeSync(file);
  }
}
