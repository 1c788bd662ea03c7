import { existsSync, realpathSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A program with its arguments and its whole environment. */
export interface ChildCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** What a decoder child runs, and in which folder it finds its inputs. */
export interface ChildCommandOptions {
  /** Module that the child runs. */
  readonly module: string;
  /** The only folder beside its code that the child may read. */
  readonly folder: string;
  /** Program and arguments in front of Node; `{folder}` stands for the folder. Empty: none. */
  readonly launcher: readonly string[];
}

// Nothing of the parent's environment: it holds passwords, and a child decodes what strangers send.
const environment = {
  LANG: 'C.UTF-8',
  // glibc's arena for each thread keeps freed picture buffers from the system.
  MALLOC_ARENA_MAX: '2',
  // Buffers of a usual picture are used again for the next one instead of being mapped and cleared anew each time
  // (measured: a tenth of the time); a child that holds on to too much is replaced.
  MALLOC_MMAP_THRESHOLD_: String(32 * 2 ** 20),
  MALLOC_TRIM_THRESHOLD_: String(64 * 2 ** 20),
  // A launcher is found here, whatever the path of the server is.
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  UV_THREADPOOL_SIZE: '4',
  VIPS_BLOCK_UNTRUSTED: '1',
  // Large pictures stay in memory, under the watchdog's eye, instead of temporary files that a kill leaves behind.
  VIPS_DISC_THRESHOLD: '16g',
};

// Pictures lie outside of JavaScript's heap, which therefore stays small. Its young half has room for what describing a
// picture leaves behind: with 4 MB the collector runs twice as often (measured: 2 ms for each picture).
const memoryFlags = ['--max-old-space-size=128', '--max-semi-space-size=16'];

const permissionFlags = [
  // Without further grants: no writing, no processes, no workers, no WASI, no inspector.
  '--permission',
  // The image library is an addon. `serve` drops the grant when it has been loaded.
  '--allow-addons',
  '--disable-warning=SecurityWarning',
  // SQLite opens files without the permission model's checks (Node 24.21).
  '--no-experimental-sqlite',
  '--disable-sigusr1',
  // A later Node that has dropped a flag refuses to start with it. The test of the sandbox then shows what that opens.
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
// Node looks there for the type of the modules.
const packageFiles = [join(dirname(codeRoot), 'package.json')];

/** Packages that a child imports. Linked ones (pnpm, `npm link`) lie elsewhere than their names say. */
const packages = ['sharp', 'file-type'];

let foldersOfCode: readonly string[] | undefined;

/** Vitrine's own code and the packages that it may load, wherever they were installed: never the folder around them. */
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
