import { cpSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { templateName } from './template-name.ts';

let templatePath: Promise<string> | undefined;

/**
 * Returns the folder that contains the closed databases `migrated` and `empty`. If the folder is missing, builds it.
 * Building takes seconds, so the databases are kept between runs.
 */
async function ensureTemplate(): Promise<string> {
  const path = join(tmpdir(), await templateName());
  if (!existsSync(path)) {
    // The builder is imported on demand, because most tests only copy the template.
    const { buildTemplate } = await import('./build-template.ts');
    await buildTemplate(path);
  }
  return path;
}

/** Copies the migrated database, or the database without tables, from the template to `directory`. */
export async function copyTemplate(directory: string, isMigrated = true): Promise<void> {
  templatePath ??= ensureTemplate();
  // For about 500 files, a synchronous copy takes a quarter of the CPU time of an asynchronous copy.
  cpSync(join(await templatePath, isMigrated ? 'migrated' : 'empty'), directory, { recursive: true });
}
