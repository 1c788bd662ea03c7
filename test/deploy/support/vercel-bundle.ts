import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { nodeFileTrace } from '@vercel/nft';
import { onTestFinished } from 'vitest';
import { installProductionPackages } from './installation.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The fields of vercel.json that tests read. */
export interface VercelFile {
  readonly buildCommand: string;
  readonly outputDirectory: string;
  readonly build: { readonly env: Readonly<Record<string, string>> };
  readonly functions: Readonly<
    Record<
      string,
      {
        readonly maxDuration: number;
        readonly memory: number;
        readonly includeFiles: string;
        readonly excludeFiles: string;
      }
    >
  >;
  readonly rewrites: readonly { readonly source: string; readonly destination: string }[];
  readonly crons: readonly { readonly path: string; readonly schedule: string }[];
}

/** Reads vercel.json. */
export async function readVercelFile(): Promise<VercelFile> {
  return JSON.parse(await readFile(join(root, 'vercel.json'), 'utf8')) as VercelFile;
}

/**
 * Builds the function as Vercel does, with only the files that Vercel's tracer finds or that vercel.json includes.
 * Returns the folder and its size in bytes.
 */
export async function makeBundle(): Promise<{ readonly folder: string; readonly bytes: number }> {
  const project = await mkdtemp(join(tmpdir(), 'vitrine-test-'));
  onTestFinished(() => rm(project, { recursive: true, force: true, maxRetries: 3 }));
  await buildProject(project);
  const [settings] = Object.values((await readVercelFile()).functions);
  const { fileList } = await nodeFileTrace([join(project, 'api/index.js'), join(project, 'api/cron.js')], {
    base: project,
    processCwd: project,
    ignore: settings?.excludeFiles ?? '',
  });
  const { stdout } = await run('bash', ['-O', 'globstar', '-c', `ls -d ${settings?.includeFiles}`], {
    cwd: project,
    maxBuffer: 2 ** 26,
  });
  const folder = join(project, 'bundle');
  let bytes = 0;
  for (const name of new Set([...fileList, ...stdout.trim().split('\n')])) {
    const stats = await stat(join(project, name));
    if (!stats.isFile()) continue;
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await cp(join(project, name), join(folder, name));
    bytes += stats.size;
  }
  return { folder, bytes };
}

/**
 * Builds the project with all packages, as Vercel does, and then replaces these packages with the production packages, so
 * that the tracer finds no other packages.
 */
async function buildProject(project: string): Promise<void> {
  const sources = ['src', 'scripts', 'api', 'deploy', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];
  for (const name of sources) await cp(join(root, name), join(project, name), { recursive: true });
  const modules = join(project, 'node_modules');
  await symlink(join(root, 'node_modules'), modules);
  const [program = '', ...args] = (await readVercelFile()).buildCommand.split(' ');
  await run(program, args, { cwd: project });
  await rm(modules);
  await run('cp', ['-al', join(await installProductionPackages(), 'node_modules'), modules]);
}
