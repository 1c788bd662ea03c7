import { chmodSync, lstatSync, mkdirSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join, parse, relative, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../model/logger.ts';

/** Mode bits for the group and for all other users. */
const otherUsersBits = 0o077;

/** The mode bit that marks shared folders, such as /tmp. Vitrine must not change the mode of a shared folder. */
const stickyBit = 0o1000;

/**
 * How long startup waits for existing files to become private. The remaining files become private in the background.
 * Until then, the data folder keeps other users out.
 */
const defaultWaitMs = 200;

/** Background work runs in slices of this length, with pauses that keep the event loop responsive. */
const sliceMs = 5;
const pauseMs = 20;

/** A repair of file modes that may continue in the background. */
export interface Repair {
  stop(): void;
}

/**
 * Removes other users' permissions on the data folder, so that they cannot access any file in it. Then makes
 * `subfolders` and their files private as well, because a subfolder may later be moved or copied. If the data folder
 * was already private, skips private subfolders, because visiting every picture at each start would take too long. Logs
 * a warning if the data folder cannot be made private.
 */
export function protectDataFolder(
  folder: string,
  subfolders: readonly string[],
  logger: Logger,
  maxWaitMs = defaultWaitMs,
): Repair {
  if (subfolders.length > 0) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const wasExposed = getModeIfExposed(folder) !== undefined;
  if (wasExposed && canMakePrivate(folder)) chmodIfAllowed(folder);
  const warning = describeExposedFolder(folder);
  if (warning !== undefined) logger.warn({}, warning);
  for (const name of ['vitrine.lock', 'vitrine.pid']) restrict(join(folder, name));
  // If other users could access the data folder, they may still have access to anything below it.
  const exposedFolders = wasExposed
    ? subfolders
    : subfolders.filter((path) => getModeIfExposed(path) !== undefined);
  return repairModes(exposedFolders, maxWaitMs, logger);
}

/** Removes other users' permissions on a folder and everything below it. */
export function makePrivate(folder: string): void {
  if (systemHasFileModes) for (const _ of restrictTree(folder)) continue;
}

/**
 * Returns a warning if other users can still access the data folder although startup tried to make it private.
 * Otherwise returns `undefined`.
 */
function describeExposedFolder(folder: string): string | undefined {
  if (!systemHasFileModes) return describeLackOfFileModes(folder);
  const mode = getModeIfExposed(folder);
  return (
    mode &&
    `Other users of this machine can access ${folder} (mode ${mode}), and this process cannot or must not change the mode: the folder belongs to a different user, is shared, or is on a file system without modes. Run chmod 700 ${folder} as its owner, or set DATA_DIR to a different folder.`
  );
}

/** Returns the warning for systems without file modes. */
export function describeLackOfFileModes(folder: string): string {
  return `This system has no file modes: use its own access control to keep other users out of ${folder}.`;
}

/** Returns a warning if other users can access a picture folder outside the data folder; otherwise `undefined`. */
export function describeExposedPictureFolder(folder: string, dataDir: string): string | undefined {
  const mode = getModeIfExposed(folder);
  if (mode === undefined || isBelow(folder, dataDir)) return undefined;
  return `Other users of this machine can access the picture folder ${folder} (mode ${mode}), and new files in it get the same permissions. If this is not intended, run chmod 700 ${folder}.`;
}

/**
 * Returns the mode of a folder in octal digits if other users have permissions on it. Returns `undefined` if they have
 * none or the folder is missing.
 */
export function getModeIfExposed(folder: string): string | undefined {
  const mode = readMode(folder);
  if (!systemHasFileModes || mode === undefined || (mode & otherUsersBits) === 0) return undefined;
  return (mode & 0o7777).toString(8).padStart(4, '0');
}

/** Whether `path` is below `folder`. Both paths are absolute. */
export function isBelow(path: string, folder: string): boolean {
  const relativePath = relative(folder, path);
  return (
    relativePath !== '' &&
    relativePath !== '..' &&
    !relativePath.startsWith(`..${sep}`) &&
    parse(relativePath).root === ''
  );
}

/** Whether this system has file modes. */
export const systemHasFileModes = process.platform !== 'win32';

function readMode(path: string): number | undefined {
  try {
    return statSync(path).mode;
  } catch {
    // The path does not exist or cannot be accessed. Code that uses it reports the error.
    return undefined;
  }
}

/** Whether a folder may be made private. File-system roots and shared folders must keep their modes. */
export function canMakePrivate(folder: string): boolean {
  const realPath = realpathSync(folder);
  return realPath !== parse(realPath).root && ((readMode(realPath) ?? 0) & stickyBit) === 0;
}

function chmodIfAllowed(path: string): void {
  try {
    chmodSync(path, 0o700);
  } catch {
    // The folder has a different owner, or the file system has no modes. The caller checks the mode and reports a
    // problem.
  }
}

/**
 * Removes other users' permissions on a folder and everything below it, in the background. Until then, a private folder above it must
 * keep them out.
 */
export function makePrivateInBackground(folder: string): Repair {
  const controller = new AbortController();
  if (systemHasFileModes) void runInSlices(restrictTree(folder), controller.signal).catch(() => undefined);
  return { stop: () => controller.abort() };
}

function repairModes(folders: readonly string[], maxWaitMs: number, logger: Logger): Repair {
  if (folders.length === 0) return { stop: () => undefined };
  const steps = restrictTrees(folders);
  const controller = new AbortController();
  if (advance(steps, maxWaitMs)) logger.info({ folders }, 'made existing files in the data folder private');
  else void continueInBackground(steps, controller.signal, logger).catch(() => undefined);
  return { stop: () => controller.abort() };
}

async function continueInBackground(
  steps: Iterator<void>,
  signal: AbortSignal,
  logger: Logger,
): Promise<void> {
  logger.info(
    {},
    'making existing files in the data folder private in the background; other users cannot access them in the meantime',
  );
  await runInSlices(steps, signal);
  logger.info({}, 'made existing files in the data folder private');
}

async function runInSlices(steps: Iterator<void>, signal: AbortSignal): Promise<void> {
  do await sleep(pauseMs, undefined, { signal, ref: false });
  while (!advance(steps, sliceMs));
}

/** Runs steps for a limited time. Returns whether all steps are done. */
function advance(steps: Iterator<void>, milliseconds: number): boolean {
  const deadline = performance.now() + milliseconds;
  while (performance.now() < deadline) if (steps.next().done) return true;
  return false;
}

function* restrictTrees(folders: readonly string[]): Generator<void> {
  for (const folder of folders) yield* restrictTree(folder);
}

/**
 * Removes other users' permissions, one file or folder per step. Restricts a folder after its contents, so that an
 * interrupted repair leaves the folder accessible and the next start resumes the repair.
 */
function* restrictTree(folder: string): Generator<void> {
  for (const entry of listEntries(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* restrictTree(path);
    // Symbolic links are skipped, because their modes are meaningless and their targets may be anywhere.
    else if (!entry.isSymbolicLink()) restrict(path);
    yield;
  }
  restrict(folder);
}

function listEntries(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    // The folder has been removed, or belongs to a different user. Its parent keeps other users out.
    return [];
  }
}

function restrict(path: string): void {
  try {
    const { mode } = lstatSync(path);
    if ((mode & otherUsersBits) !== 0) chmodSync(path, mode & 0o700);
  } catch {
    // The file has been removed, or belongs to a different user.
  }
}
