import type { PurgeReport } from './purge-command.ts';

/** The report of a purge as lines for a person. */
export function describePurge(report: PurgeReport, scope: 'deleted' | 'unused'): string {
  const lines = [
    ...report.warnings.map((warning) => `Note: ${warning}`),
    report.dryRun ? describeDryRun(report, scope) : describeRun(report),
    ...report.errors.map((error) => `FAIL  ${error}`),
  ];
  return `${lines.join('\n')}\n`;
}

function describeDryRun({ found, bytes }: PurgeReport, scope: 'deleted' | 'unused'): string {
  if (found === 0) return `There is no ${scope} image to remove.`;
  const size = scope === 'deleted' ? ` and free ${inWords(bytes)}` : '';
  return `${images(found, scope)} would be removed${size}. Nothing was removed: add --confirm to do it.`;
}

function describeRun({ removed, files, bytes }: PurgeReport): string {
  return `${images(removed)} removed; ${files === 1 ? 'one file' : `${files} files`} and ${inWords(bytes)} freed.`;
}

function images(count: number, scope?: string): string {
  const what = scope === undefined ? '' : `${scope} `;
  return count === 1 ? `One ${what}image` : `${count} ${what}images`;
}

function inWords(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  return power === 0 ? `${bytes} bytes` : `${(bytes / 1000 ** power).toFixed(1)} ${units[power]}`;
}
