import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Writes a generated file or, with the argument `--check`, checks that the file is up to date. Sets the exit code.
 * @param path path from the root of the repository
 * @param source what the file is generated from, for the message
 * @param generate returns the expected content of the file; its parameter is the current content
 */
export async function writeOrCheck(
  path: string,
  source: string,
  generate: (current: string) => string | Promise<string>,
): Promise<void> {
  const file = fileURLToPath(new URL(`../${path}`, import.meta.url));
  const current = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const expected = await generate(current);
  if (!process.argv.includes('--check')) writeFileSync(file, expected);
  else if (current !== expected) {
    console.error(`${path} is out of date with ${source}. Run: npm run docs`);
    process.exitCode = 1;
  }
}
