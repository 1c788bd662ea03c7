import { cpSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { templateName } from './template-name.ts';

let template: Promise<string> | undefined;

/** Folder of the closed databases `migrated` and `empty`. Building them takes seconds, so they are kept between runs. */
async function findTemplate(): Promise<string> {
  const path = join(tmpdir(), await templateName());
  if (!existsSync(path)) {
    // Imported only here: most tests copy the template and never load the engine themselves.
    const { buildTemplate } = await import('./build-template.ts');
    await buildTemplate(path);
  }
  return path;
}

/** Copies an embedded database, migrated or without tables, to `directory`. */
export async function copyTemplate(directory: string, isMigrated = true): Promise<void> {
  template ??= findTemplate();
  // The synchronous copy takes a quarter of the processor time of the asynchronous one: there are some 500 files.
  cpSync(join(await template, isMigrated ? 'migrated' : 'empty'), directory, { recursive: true });
}
