import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/** Version of an installed package, read from its package.json: loading it could bring native code into the process. */
export function installedVersion(name: string): string {
  const path = findPackageJSON(name, import.meta.url);
  if (path === undefined) throw new Error(`The package ${name} is not installed.`);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
