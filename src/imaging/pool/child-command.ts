import { existsSync, realpathSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A program with its arguments and its complete environment. */
export interface ChildCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** The module of a decoder child, and the folder with its inputs. */
export interface ChildCommandOptions {
  /** Module that the child runs. */
  readonly module: string;
  /** The only folder besides its code that the child may read. */
  readonly folder: string;
  /** Program and arguments in front of Node; `{folder}` expands to the folder. Empty: none. */
  readonly launcher: readonly string[];
}

// Nothing from the parent's environment: it contains passwords, and a child decodes untrusted input.
const environment = {
  LANG: 'C.UTF-8',
  // With one glibc arena per thread, freed picture buffers are not returned to the system.
  MALLOC_ARENA_MAX: '2',
  // Buffers of a typical picture are reused for the next one instead of being mapped and cleared each time (measured: a
  // tenth of the time); a child that keeps too much memory is replaced.
  MALLOC_MMAP_THRESHOLD_: String(32 * 2 ** 20),
  MALLOC_TRIM_THRESHOLD_: String(64 * 2 ** 20),
  // Launchers are searched for here, independently of the server's path.
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  UV_THREADPOOL_SIZE: '4',
  VIPS_BLOCK_UNTRUSTED: '1',
  // Large pictures stay in memory, where the watchdog measures them, not in temporary files that a kill leaves behind.
  VIPS_DISC_THRESHOLD: '16g',
};

// Pictures are outside of JavaScript's heap, which can therefore be small. Its young generation has room for the
// garbage of describing a picture: with 4 MB the collector runs twice as often (measured: 2 ms for each picture).
const memoryFlags = ['--max-old-space-size=128', '--max-semi-space-size=16'];

const permissionFlags = [
  // Without further grants: no writing, no processes, no workers, no WASI, no inspector.
  '--permission',
  // The image library is an addon. `serve` drops the grant once it is loaded.
  '--allow-addons',
  '--disable-warning=SecurityWarning',
  // SQLite opens files without checking the permission model (Node 24.21).
  '--no-experimental-sqlite',
  '--disable-sigusr1',
  // A later Node that has removed a flag refuses to start with it. The sandbox test then shows what becomes accessible.
].filter((flag) => process.allowedNodeEnvironmentFlags.has(flag.split('=')[0] ?? flag));

/** How to start a decoder child. */
export function childCommand({ module, folder, launcher }: ChildCommandOptions): ChildCommand {
  const readable = [...codeFolders(), dirname(module), folder].map((path) => join(path, '*'));
  const grants = [...readable, ...packageFiles].map((path) => `--allow-fs-read=${path}`);
  const node = [process.execPath, ...memoryFlags, ...permissionFlags, ...grants, module];
  const [command = '', ...args] = [...launcher.map((word) => word.replaceAll('{folder}', folder)), ...node];
  return { command, args, env: environment };
}

const codeRoot = fileURLToPath(new URL('../..', import.meta.url));
// Node reads the module type from there.
const packageFiles = [join(dirname(codeRoot), 'package.json')];

/** Packages that a child imports. Linked ones (pnpm, `npm link`) are stored outside their `node_modules` folder. */
const packages = ['sharp', 'file-type'];

let foldersOfCode: readonly string[] | undefined;

/** Vitrine's own code and the packages that it may load, wherever they are installed: never their parent folder. */
function codeFolders(): readonly string[] {
  foldersOfCode ??= [
    ...new Set([codeRoot, ...[dirname(codeRoot), ...packages.flatMap(realFolderOf)].flatMap(packageFolders)]),
  ];
  return foldersOfCode;
}

function realFolderOf(name: string): string[] {
  const path = findPackageJSON(name, import.meta.url);
  return path === undefined ? [] : [dirname(realpathSync(path))];
}

/** The folders `node_modules` in which Node looks for packages from `from`. */
function packageFolders(from: string): string[] {
  const folder = join(from, 'node_modules');
  const own = existsSync(folder) ? [folder, realpathSync(folder)] : [];
  const parent = dirname(from);
  return parent === from ? own : [...own, ...packageFolders(parent)];
}
