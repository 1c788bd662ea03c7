import { chmodSync, lstatSync, mkdirSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join, parse, relative, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../model/logger.ts';

/** What the group and everyone else may do. */
const othersBits = 0o077;

/** A folder that many share, such as /tmp: its mode is not ours to change. */
const stickyBit = 0o1000;

/** A start waits this long for old files to become private; the rest follows while it serves, since nobody reaches them. */
const usualPatienceMs = 200;

/** The rest is done in slices of this length, with pauses for the event loop. */
const sliceMs = 5;
const pauseMs = 20;

/** Files that are made private while the process serves. */
export interface Repair {
  stop(): void;
}

/**
 * Takes everyone else's rights to the data folder away: that alone protects all below. Its folders `inside` are then made
 * private too, as they may be moved or copied; one that is private already counts as done and is not walked again. A mode
 * that may not be changed is logged, and no failure.
 */
export function protectDataFolder(
  folder: string,
  inside: readonly string[],
  logger: Logger,
  patienceMs = usualPatienceMs,
): Repair {
  if (inside.length > 0) mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (rightsOfOthers(folder) !== undefined && isOwn(folder)) chmodIfAllowed(folder);
  const warning = describeOpenFolder(folder);
  if (warning !== undefined) logger.warn({}, warning);
  for (const name of ['vitrine.lock', 'vitrine.pid']) restrict(join(folder, name));
  return repair(
    inside.filter((path) => rightsOfOthers(path) !== undefined),
    patienceMs,
    logger,
  );
}

/** Takes everyone else's rights to a folder away, and to all below. */
export function makePrivate(folder: string): void {
  if (hasModes) for (const _ of walk(folder)) continue;
}

/** Why the data folder stays open to others although a start closes it; `undefined` when it is private or not there. */
function describeOpenFolder(folder: string): string | undefined {
  if (!hasModes) return describeMissingModes(folder);
  const rights = rightsOfOthers(folder);
  return (
    rights &&
    `Others on this machine may enter ${folder} (mode ${rights}), and this process may not or must not change that: the folder has another owner, is shared with others, or lies on a file system that keeps no modes. Run chmod 700 ${folder} as its owner, or set DATA_DIR to another folder.`
  );
}

/** What to know where files have no modes. */
export function describeMissingModes(folder: string): string {
  return `This system has no file modes: see to it by its own means that nobody else reads ${folder}.`;
}

/** What to know of a folder of pictures outside the data folder; `undefined` when it is private, or inside. */
export function describePicturesElsewhere(folder: string, dataDir: string): string | undefined {
  const rights = rightsOfOthers(folder);
  if (rights === undefined || isBelow(folder, dataDir)) return undefined;
  return `Others on this machine may enter the folder of the pictures, ${folder} (mode ${rights}), and new files in it get the same rights. Unless that is meant, run chmod 700 ${folder}.`;
}

/** The mode of a folder in octal digits when others than its user have rights there; else `undefined`, or when it is not there. */
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

/** Whether this system has modes of files. */
export const hasModes = process.platform !== 'win32';

function modeOf(path: string): number | undefined {
  try {
    return statSync(path).mode;
  } catch {
    // Not there, or no folder at all: whoever needs it says so.
    return undefined;
  }
}

/** Whether a folder may be Vitrine's alone; to close one that somebody else needs as well would hurt them. */
export function isOwn(folder: string): boolean {
  const real = realpathSync(folder);
  return real !== parse(real).root && ((modeOf(real) ?? 0) & stickyBit) === 0;
}

function chmodIfAllowed(path: string): void {
  try {
    chmodSync(path, 0o700);
  } catch {
    // Another owner, or a file system without modes: the look afterwards tells.
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
  while (!advance(steps, sliceMs)) await sleep(pauseMs, undefined, { signal, ref: false });
  logger.info({}, 'files of the data folder were made private');
}

/** Goes on for a time; answers whether the end was reached. */
function advance(steps: Iterator<void>, milliseconds: number): boolean {
  const end = performance.now() + milliseconds;
  while (performance.now() < end) if (steps.next().done) return true;
  return false;
}

function* walkAll(folders: readonly string[]): Generator<void> {
  for (const folder of folders) yield* walk(folder);
}

/** Depth first, and each folder after what it holds: one that is private says that nothing below is left to do. */
function* walk(folder: string): Generator<void> {
  for (const entry of entriesOf(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    // A link's mode means nothing, and what it leads to may lie anywhere.
    else if (!entry.isSymbolicLink()) restrict(path);
    yield;
  }
  restrict(folder);
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    // Gone meanwhile, or another user's: the folder above keeps everyone else out.
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
