import { readFileSync } from 'node:fs';

const { version: written } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as {
  version: string;
};

/** Version of Vitrine, as in its package. */
export const version = written;

/** Whether version `installed` is at least `floor`. Both are dotted numbers; a suffix after a hyphen is ignored. */
export function isAtLeast(installed: string, floor: string): boolean {
  const [numbers, minimums] = [numbersOf(installed), numbersOf(floor)];
  for (const [index, minimum] of minimums.entries()) {
    const difference = (numbers[index] ?? 0) - minimum;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

function numbersOf(text: string): number[] {
  return (text.split('-')[0] ?? '').split('.').map(Number);
}
