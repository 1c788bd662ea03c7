import { cpSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { templateName } from './template-name.ts';

let template: Promise<string> | undefined;

/**
 * Returns the folder of the closed databases `migrated` and `empty`, and builds it if it is missing. Building takes seconds,
 * so they are kept between runs.
 */
async function findTemplate(): Promise<string> {
  const path = join(tmpdir(), await templateName());
  if (!existsSync(path)) {
    // Imported on demand, because most tests copy the template and never load the engine.
    const { buildTemplate } = await import('./build-template.ts');
    await buildTemplate(path);
  }
  return path;
}

/** Copies the embedded database template, migrated or without tables, to `directory`. */
export async function copyTemplate(directory: string, isMigrated = true): Promise<void> {
  template ??= findTemplate();
  // For these 500 or so files, the synchronous copy takes a quarter of the CPU time of the asynchronous one.
  cpSync(join(await template, isMigrated ? 'migrated' : 'empty'), directory, { recursive: true });
}
