import { readFileSync } from 'node:fs';

const packageJson = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** The version of Vitrine, from its package.json. */
export const version = packageJson.version;

/** Whether version `installed` is at least version `required`. Ignores a suffix after a hyphen. */
export function isAtLeast(installed: string, required: string): boolean {
  const [numbers, minimums] = [parseVersion(installed), parseVersion(required)];
  for (const [index, minimum] of minimums.entries()) {
    const difference = (numbers[index] ?? 0) - minimum;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

function parseVersion(text: string): number[] {
  return (text.split('-')[0] ?? '').split('.').map(Number);
}
