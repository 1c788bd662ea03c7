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

/** Bytes of the small disk. */
const size = '160m';

/** Whether a process may have a disk of its own here; says so when it may not. */
export function hasSmallDisks(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'vitrine-test-'));
  const [program, ...args] = ownMounts(folder, 'true');
  const isThere = spawnSync(program, args, { timeout: 10_000 }).status === 0;
  rmdirSync(folder);
  if (!isThere)
    process.stdout.write('SKIPPED: a full disk. It needs "unshare" and the right to mount a tmpfs.\n');
  return isThere;
}

/** Mounts a small disk for one process and its children, and then becomes `command`. What lay in the folder stays. */
function ownMounts(folder: string, ...command: string[]): [string, ...string[]] {
  const script = `keep=$(mktemp -d) && cp -a "$0/." "$keep" && mount -t tmpfs -o size=${size} none "$0" &&
    cp -a "$keep/." "$0" && rm -r "$keep" && echo ready && exec "$@"`;
  return ['unshare', '-m', 'sh', '-c', script, folder, ...command];
}

/** A small disk on a folder. Only processes that run `through` it see it, so nothing is left behind when they end. */
export interface SmallDisk {
  /** What a command begins with that is to see the disk. */
  readonly through: readonly string[];
  /** Writes until nothing fits any more, and then leaves so many bytes. */
  fill(leaveBytes: number): void;
  /** Gives back a part of what was filled. */
  giveBack(bytes: number): void;
  free(): void;
}

/** @see SmallDisk */
export async function mountSmallDisk(folder: string): Promise<SmallDisk> {
  const [program, ...args] = ownMounts(folder, 'sleep', '86400');
  const holder = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  const root = join(`/proc/${holder.pid}/root`, folder);
  const filler = join(root, 'filler');
  return {
    through: ['nsenter', `--mount=/proc/${holder.pid}/ns/mnt`],
    fill(leaveBytes) {
      const written = writeUntilFull(filler);
      truncateSync(filler, Math.max(0, written - leaveBytes));
    },
    giveBack: (bytes) => truncateSync(filler, Math.max(0, statSync(filler).size - bytes)),
    free() {
      rmSync(filler, { force: true });
      if (statfsSync(root).bavail === 0) throw new Error('The disk is full of something else.');
    },
  };
}

function writeUntilFull(path: string): number {
  const file = openSync(path, 'w');
  const block = Buffer.alloc(65_536);
  let written = 0;
  try {
    for (;;) written += writeSync(file, block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    return written;
  } finally {
    closeSync(file);
  }
}
