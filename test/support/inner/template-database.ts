import { cpSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { templateName } from './template-name.ts';

let templatePath: Promise<string> | undefined;

/**
 * Returns the folder of the closed databases `migrated` and `empty`, and builds it if it is missing. Building takes
 * seconds, so the databases are kept between runs.
 */
async function findTemplate(): Promise<string> {
  const path = join(tmpdir(), await templateName());
  if (!existsSync(path)) {
    // This is imported on demand, because most tests only copy the template.
    const { buildTemplate } = await import('./build-template.ts');
    await buildTemplate(path);
  }
  return path;
}

/** Copies the embedded database template, migrated or without tables, to `directory`. */
export async function copyTemplate(directory: string, isMigrated = true): Promise<void> {
  templatePath ??= findTemplate();
  // For about 500 files, a synchronous copy takes a quarter of the CPU time of an asynchronous copy.
  cpSync(join(await templatePath, isMigrated ? 'migrated' : 'empty'), directory, { recursive: true });
}
