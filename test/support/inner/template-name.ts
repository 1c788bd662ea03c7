import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../..');
const sources = [
  'node_modules/@electric-sql/pglite/package.json',
  'src/db/engine/migrate.ts',
  'src/db/engine/vectors.ts',
  'test/support/inner/build-template.ts',
];

/** Returns the name of the template database, with a hash of the PGlite version and the migrations. */
export async function templateName(): Promise<string> {
  const hash = createHash('sha256');
  const migrations = (await readdir(join(root, 'src/db/migrations'))).toSorted();
  for (const path of [...sources, ...migrations.map((name) => `src/db/migrations/${name}`)])
    hash.update(await readFile(join(root, path)));
  return `vitrine-test-database-${hash.digest('hex').slice(0, 16)}`;
}
