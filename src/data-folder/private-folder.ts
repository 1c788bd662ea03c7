import { chmodSync, lstatSync, mkdirSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join, parse, relative, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../model/logger.ts';

/** Permissions of the group and of others. */
const othersBits = 0o077;

/** A shared folder such as /tmp: Vitrine must not change its mode. */
const stickyBit = 0o1000;

/**
 * Startup waits this long for old files to become private; the rest follows in the background, since they are
 * inaccessible.
 */
const usualPatienceMs = 200;

/** The rest is done in slices of this length, with pauses for the event loop. */
const sliceMs = 5;
const pauseMs = 20;

/** Files that are made private while the process serves. */
export interface Repair {
  stop(): void;
}

/**
 * Removes other users' permissions on the data folder; that alone protects everything below it. Its folders `inside`
 * are then made private too, since they may be moved or copied: all of them if the data folder was open, else those that
 * are open themselves, because a walk over many pictures at each start would take long. A mode that cannot be changed is logged and is no failure.
 */
export function protectDataFolder(
  folder: string,
  inside: readonly string[],
  logger: Logger,
  patienceMs = usualPatienceMs,
): Repair {
  if (inside.length > 0) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const wasOpen = rightsOfOthers(folder) !== undefined;
  if (wasOpen && isOwn(folder)) chmodIfAllowed(folder);
  const warning = describeOpenFolder(folder);
  if (warning !== undefined) logger.warn({}, warning);
  for (const name of ['vitrine.lock', 'vitrine.pid']) restrict(join(folder, name));
  // Behind an open folder, anything below may have been opened too.
  const open = wasOpen ? inside : inside.filter((path) => rightsOfOthers(path) !== undefined);
  return repair(open, patienceMs, logger);
}

/** Removes other users' permissions on a folder and everything below it. */
export function makePrivate(folder: string): void {
  if (hasModes) for (const _ of walk(folder)) continue;
}

/**
 * Why the data folder stays accessible to others although startup makes it private; `undefined` if it is private or
 * missing.
 */
function describeOpenFolder(folder: string): string | undefined {
  if (!hasModes) return describeMissingModes(folder);
  const rights = rightsOfOthers(folder);
  return (
    rights &&
    `Others on this machine may enter ${folder} (mode ${rights}), and this process may not or must not change that: the folder has another owner, is shared with others, or lies on a file system that keeps no modes. Run chmod 700 ${folder} as its owner, or set DATA_DIR to another folder.`
  );
}

/** The warning for file systems without modes. */
export function describeMissingModes(folder: string): string {
  return `This system has no file modes: see to it by its own means that nobody else reads ${folder}.`;
}

/** The warning about a picture folder outside the data folder; `undefined` if it is private or inside. */
export function describePicturesElsewhere(folder: string, dataDir: string): string | undefined {
  const rights = rightsOfOthers(folder);
  if (rights === undefined || isBelow(folder, dataDir)) return undefined;
  return `Others on this machine may enter the folder of the pictures, ${folder} (mode ${rights}), and new files in it get the same rights. Unless that is meant, run chmod 700 ${folder}.`;
}

/**
 * The mode of a folder in octal digits if other users have permissions on it; `undefined` otherwise, or if it is
 * missing.
 */
export function rightsOfOthers(folder: string): string | undefined {
  const mode = modeOf(folder);
  if (!hasModes || mode === undefined || (mode & othersBits) === 0) return undefined;
  return (mode & 0o7777).toString(8).padStart(4, '0');
}

/** Whether `path` lies below `folder`; both are absolute. */
export function isBelow(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && parse(way).root === '';
}

/** Whether this system has file modes. */
export const hasModes = process.platform !== 'win32';

function modeOf(path: string): number | undefined {
  try {
    return statSync(path).mode;
  } catch {
    // Missing, or not a folder: the code that needs it reports that.
    return undefined;
  }
}

/** Whether a folder may be made private to Vitrine, which must not lock out other users of a shared folder. */
export function isOwn(folder: string): boolean {
  const real = realpathSync(folder);
  return real !== parse(real).root && ((modeOf(real) ?? 0) & stickyBit) === 0;
}

function chmodIfAllowed(path: string): void {
  try {
    chmodSync(path, 0o700);
  } catch {
    // Another owner, or a file system without modes: the check afterwards reports it.
  }
}

function repair(folders: readonly string[], patienceMs: number, logger: Logger): Repair {
  if (folders.length === 0) return { stop: () => undefined };
  const steps = walkAll(folders);
  const stopping = new AbortController();
  if (advance(steps, patienceMs)) logger.info({ folders }, 'files of the data folder were made private');
  else void finish(steps, stopping.signal, logger).catch(() => undefined);
  return { stop: () => stopping.abort() };
}

async function finish(steps: Iterator<void>, signal: AbortSignal, logger: Logger): Promise<void> {
  logger.info({}, 'files of the data folder are being made private; nobody else reaches them meanwhile');
  do await sleep(pauseMs, undefined, { signal, ref: false });
  while (!advance(steps, sliceMs));
  logger.info({}, 'files of the data folder were made private');
}

/** Continues for a limited time; returns whether it has finished. */
function advance(steps: Iterator<void>, milliseconds: number): boolean {
  const end = performance.now() + milliseconds;
  while (performance.now() < end) if (steps.next().done) return true;
  return false;
}

function* walkAll(folders: readonly string[]): Generator<void> {
  for (const folder of folders) yield* walk(folder);
}

/** Depth first, each folder after its content: an interrupted repair leaves the folder open, and the next start goes on. */
function* walk(folder: string): Generator<void> {
  for (const entry of entriesOf(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    // The mode of a link is meaningless, and its target may be anywhere.
    else if (!entry.isSymbolicLink()) restrict(path);
    yield;
  }
  restrict(folder);
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    // Removed meanwhile, or another user's: the parent folder keeps others out.
    return [];
  }
}

function restrict(path: string): void {
  try {
    const { mode } = lstatSync(path);
    if ((mode & othersBits) !== 0) chmodSync(path, mode & 0o700);
  } catch {
    // As above.
  }
}
