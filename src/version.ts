import { readFileSync } from 'node:fs';

const packageJson = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** The version of Vitrine, from its package.json. */
export const version = packageJson.version;

/** Whether version `installed` is at least version `required`. Ignores a suffix such as `-rc.1`. */
export function isAtLeast(installed: string, required: string): boolean {
  const [installedParts, requiredParts] = [parseVersion(installed), parseVersion(required)];
  for (const [index, requiredPart] of requiredParts.entries()) {
    const difference = (installedParts[index] ?? 0) - requiredPart;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

function parseVersion(text: string): number[] {
  return (text.split('-')[0] ?? '').split('.').map(Number);
}
