import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { copyTemplate } from '../inner/template-database.ts';

/** Creates a temporary folder. */
export function makeFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'vitrine-test-'));
}

/** Removes a folder. Retries while an exiting process still writes there. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** Creates a data folder with an empty, migrated database copied from the template. */
export async function makeDataFolder(): Promise<string> {
  const folder = await makeFolder();
  await copyTemplate(join(folder, 'db'));
  return folder;
}

/** Returns the names of the files in a staging folder. Excludes subfolders, such as the decoders' folder. */
export async function stagedFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
}
