import { chmodSync, lstatSync, mkdirSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join, parse, relative, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../model/logger.ts';

/** Permissions of the group and others. */
const othersBits = 0o077;

/** A shared folder such as /tmp: Vitrine must not change its mode. */
const stickyBit = 0o1000;

/**
 * How long startup waits for existing files to become private. The rest follows in the background, since the folders
 * above already keep others out.
 */
const defaultWaitMs = 200;

/** In the background, the work is done in slices of this length, with pauses for the event loop. */
const sliceMs = 5;
const pauseMs = 20;

/** The repair of file modes that continues while the server runs. */
export interface Repair {
  stop(): void;
}

/**
 * Removes other users' permissions on the data folder, which alone protects everything below it. The folders `inside` are
 * then made private too, since they may be moved or copied: all of them if the data folder was open, else only those that
 * are open themselves, because walking all pictures at every start would take too long. A mode that cannot be changed is
 * logged, but does not fail.
 */
export function protectDataFolder(
  folder: string,
  inside: readonly string[],
  logger: Logger,
  maxWaitMs = defaultWaitMs,
): Repair {
  if (inside.length > 0) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const wasOpen = modeIfOpen(folder) !== undefined;
  if (wasOpen && mayBePrivate(folder)) chmodIfAllowed(folder);
  const warning = describeOpenFolder(folder);
  if (warning !== undefined) logger.warn({}, warning);
  for (const name of ['vitrine.lock', 'vitrine.pid']) restrict(join(folder, name));
  // Below an open folder, everything may have been opened too.
  const open = wasOpen ? inside : inside.filter((path) => modeIfOpen(path) !== undefined);
  return repair(open, maxWaitMs, logger);
}

/** Removes other users' permissions on a folder and everything below it. */
export function makePrivate(folder: string): void {
  if (hasModes) for (const _ of walk(folder)) continue;
}

/**
 * Returns a warning if other users can access the data folder even after startup tried to make it private, else
 * `undefined`.
 */
function describeOpenFolder(folder: string): string | undefined {
  if (!hasModes) return describeMissingModes(folder);
  const mode = modeIfOpen(folder);
  return (
    mode &&
    `Other users of this machine can access ${folder} (mode ${mode}), and this process cannot or must not change that: the folder has another owner, is shared, or is on a file system without modes. Run chmod 700 ${folder} as its owner, or set DATA_DIR to another folder.`
  );
}

/** Returns the warning for systems without file modes. */
export function describeMissingModes(folder: string): string {
  return `This system has no file modes: use its own access control to keep other users out of ${folder}.`;
}

/** Returns a warning if other users can access a picture folder outside the data folder, else `undefined`. */
export function describeOpenPictureFolder(folder: string, dataDir: string): string | undefined {
  const mode = modeIfOpen(folder);
  if (mode === undefined || isBelow(folder, dataDir)) return undefined;
  return `Other users of this machine can access the picture folder ${folder} (mode ${mode}), and new files in it get the same permissions. If this is not intended, run chmod 700 ${folder}.`;
}

/**
 * Returns the mode of a folder in octal digits if other users have permissions on it. Returns `undefined` if they have
 * none or the folder is missing.
 */
export function modeIfOpen(folder: string): string | undefined {
  const mode = modeOf(folder);
  if (!hasModes || mode === undefined || (mode & othersBits) === 0) return undefined;
  return (mode & 0o7777).toString(8).padStart(4, '0');
}

/** Whether `path` is below `folder`. Both are absolute. */
export function isBelow(path: string, folder: string): boolean {
  const relation = relative(folder, path);
  return (
    relation !== '' && relation !== '..' && !relation.startsWith(`..${sep}`) && parse(relation).root === ''
  );
}

/** Whether this system has file modes. */
export const hasModes = process.platform !== 'win32';

function modeOf(path: string): number | undefined {
  try {
    return statSync(path).mode;
  } catch {
    // Missing, or not a folder: the code that uses it reports that.
    return undefined;
  }
}

/** Whether a folder may be made private. Vitrine must not lock other users out of a shared folder. */
export function mayBePrivate(folder: string): boolean {
  const real = realpathSync(folder);
  return real !== parse(real).root && ((modeOf(real) ?? 0) & stickyBit) === 0;
}

function chmodIfAllowed(path: string): void {
  try {
    chmodSync(path, 0o700);
  } catch {
    // Another owner, or a file system without modes: the check that follows reports it.
  }
}

function repair(folders: readonly string[], maxWaitMs: number, logger: Logger): Repair {
  if (folders.length === 0) return { stop: () => undefined };
  const steps = walkAll(folders);
  const stopping = new AbortController();
  if (advance(steps, maxWaitMs)) logger.info({ folders }, 'made existing files of the data folder private');
  else void continueInBackground(steps, stopping.signal, logger).catch(() => undefined);
  return { stop: () => stopping.abort() };
}

async function continueInBackground(
  steps: Iterator<void>,
  signal: AbortSignal,
  logger: Logger,
): Promise<void> {
  logger.info(
    {},
    'making existing files of the data folder private in the background; other users cannot reach them meanwhile',
  );
  do await sleep(pauseMs, undefined, { signal, ref: false });
  while (!advance(steps, sliceMs));
  logger.info({}, 'made existing files of the data folder private');
}

/** Runs steps for a limited time. Returns whether all are done. */
function advance(steps: Iterator<void>, milliseconds: number): boolean {
  const end = performance.now() + milliseconds;
  while (performance.now() < end) if (steps.next().done) return true;
  return false;
}

function* walkAll(folders: readonly string[]): Generator<void> {
  for (const folder of folders) yield* walk(folder);
}

/** Visits each folder after its content: an interrupted repair leaves the folder open, and the next start resumes it. */
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
    // Removed meanwhile, or owned by another user: the parent folder keeps others out.
    return [];
  }
}

function restrict(path: string): void {
  try {
    const { mode } = lstatSync(path);
    if ((mode & othersBits) !== 0) chmodSync(path, mode & 0o700);
  } catch {
    // Removed meanwhile, or owned by another user.
  }
}
