import { existsSync, realpathSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ModelDescription, runtimePackage } from '../recognition/model/model-description.ts';

/** A program, its arguments and its complete environment. */
export interface ChildCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** How to start a decoder child. */
export interface ChildCommandOptions {
  /** Module that the child runs. */
  readonly module: string;
  /** Folder with the child's input files. The child may read only this folder and its code. */
  readonly folder: string;
  /** Program and arguments that launch Node; empty to start Node directly. `{folder}` expands to the folder. */
  readonly launcher: readonly string[];
  /** The model that computes embeddings. Default: none, which means the built-in embedding. */
  readonly model?: ModelDescription | undefined;
}

// Nothing is inherited from the parent's environment, because it contains passwords and a child decodes untrusted
// input.
const environment = {
  LANG: 'C.UTF-8',
  // With one glibc arena per thread, the memory of freed pictures would not be returned to the system.
  MALLOC_ARENA_MAX: '2',
  // With these thresholds, the buffers of a typical picture are reused for the next picture. This avoids mapping and
  // clearing memory for each picture, and makes processing 10% faster. A child that keeps too much memory is replaced.
  MALLOC_MMAP_THRESHOLD_: String(32 * 2 ** 20),
  MALLOC_TRIM_THRESHOLD_: String(64 * 2 ** 20),
  // The search path for launchers does not depend on the server's environment.
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  UV_THREADPOOL_SIZE: '4',
  VIPS_BLOCK_UNTRUSTED: '1',
  // Large pictures stay in memory, where the watchdog measures them. If they were written to disk, a killed child would
  // leave temporary files behind.
  VIPS_DISC_THRESHOLD: '16g',
};

// Pictures are stored outside the JavaScript heap, so the heap can be small. The young generation has room for the
// garbage from describing one picture. With 4 MB, the garbage collector would run twice as often, which would add
// 2 ms per picture. Describing a picture also fills a few megabytes of the old generation, which would be collected after every
// second or third picture: 12% of the time.
const memoryFlags = ['--max-old-space-size=128', '--initial-old-space-size=64', '--max-semi-space-size=16'];

const permissionFlags = [
  // Denies everything that is not allowed below: writing files, starting processes and worker threads, WASI and the
  // inspector.
  '--permission',
  // The image library is an addon. `serve` drops this permission once the library is loaded.
  '--allow-addons',
  '--disable-warning=SecurityWarning',
  // The built-in SQLite opens files without checking the permission model (Node 24.21).
  '--no-experimental-sqlite',
  '--disable-sigusr1',
  // Flags that this Node version does not support are omitted, because Node refuses to start with an unknown flag. The
  // sandbox test shows what a child can access without the omitted flags.
].filter((flag) => process.allowedNodeEnvironmentFlags.has(flag.split('=')[0] ?? flag));

/** Returns the command that starts a decoder child. */
export function childCommand({ module, folder, launcher, model }: ChildCommandOptions): ChildCommand {
  const readablePaths = [...codeFolders(), ...modelFolders(model), dirname(module), folder].map((path) =>
    join(path, '*'),
  );
  const readPermissionFlags = [...readablePaths, ...packageFiles].map((path) => `--allow-fs-read=${path}`);
  const nodeCommand = [process.execPath, ...memoryFlags, ...permissionFlags, ...readPermissionFlags, module];
  if (model) nodeCommand.push(JSON.stringify(model));
  const [command = '', ...args] = [
    ...launcher.map((word) => word.replaceAll('{folder}', folder)),
    ...nodeCommand,
  ];
  return { command, args, env: environment };
}

const codeRoot = fileURLToPath(new URL('../..', import.meta.url));
// Node reads the module type from package.json.
const packageFiles = [join(dirname(codeRoot), 'package.json')];

/** Packages that a child imports. Linked packages (pnpm, `npm link`) are stored outside `node_modules`. */
const packages = ['sharp', 'file-type'];

let cachedCodeFolders: readonly string[] | undefined;

/** Returns the folders that contain Vitrine's code and its packages, wherever they are installed. */
function codeFolders(): readonly string[] {
  cachedCodeFolders ??= [
    ...new Set([
      codeRoot,
      ...[dirname(codeRoot), ...packages.flatMap(resolvePackageFolder)].flatMap(packageFolders),
    ]),
  ];
  return cachedCodeFolders;
}

/** Returns the folders of the model and of the package that runs it. */
function modelFolders(model: ModelDescription | undefined): readonly string[] {
  if (!model) return [];
  return [dirname(model.path), ...resolvePackageFolder(runtimePackage).flatMap(packageFolders)];
}

function resolvePackageFolder(name: string): string[] {
  const path = findPackageJSON(name, import.meta.url);
  return path === undefined ? [] : [dirname(realpathSync(path))];
}

/** Returns the `node_modules` folders that Node searches for imports from the folder `start`. */
function packageFolders(start: string): string[] {
  const folder = join(start, 'node_modules');
  const ownFolders = existsSync(folder) ? [folder, realpathSync(folder)] : [];
  const parent = dirname(start);
  return parent === start ? ownFolders : [...ownFolders, ...packageFolders(parent)];
}
