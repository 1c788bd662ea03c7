/** Whether version `installed` is `floor` or newer; both are dotted numbers, what follows a hyphen is ignored. */
export function isAtLeast(installed: string, floor: string): boolean {
  const [mine, needed] = [numbersOf(installed), numbersOf(floor)];
  for (const [index, least] of needed.entries()) {
    const difference = (mine[index] ?? 0) - least;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

function numbersOf(version: string): number[] {
  return (version.split('-')[0] ?? '').split('.').map(Number);
}
