import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runVitrine } from './command.ts';

const migrations = new URL('../../../src/db/migrations/', import.meta.url);
const manifest = new URL('../../../package.json', import.meta.url);

/** A folder of its own, below the system's folder for temporary files. */
export function makeFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'vitrine-test-'));
}

/** Removes a folder that a process may have left a moment ago. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/**
 * A data folder with an empty database. Creating one takes seconds, so one is created for each version of the schema
 * and copied.
 */
export async function makeDataFolder(): Promise<string> {
  const folder = await makeFolder();
  await cp(await template(), folder, { recursive: true });
  return folder;
}

async function template(): Promise<string> {
  const path = join(tmpdir(), `vitrine-test-template-${await templateKey()}`);
  if (existsSync(path)) return path;
  const draft = await makeFolder();
  const { code, stderr } = await runVitrine(['migrate'], { DATA_DIR: draft });
  if (code !== 0) throw new Error(`The template could not be made: ${stderr}`);
  // Another test file may have been quicker; its template is as good.
  await rename(draft, path).catch(() => removeFolder(draft));
  return path;
}

async function templateKey(): Promise<string> {
  const hash = createHash('sha256').update(await readFile(manifest));
  for (const name of (await readdir(migrations)).toSorted()) {
    hash.update(await readFile(new URL(name, migrations)));
  }
  return hash.digest('hex').slice(0, 16);
}

/** Names of the files in a staging folder. The folder of the decoder children, which lies there too, is left out. */
export async function stagedFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
}
