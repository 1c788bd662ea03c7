import type { PurgeReport } from './purge-command.ts';
import { formatBytes } from '../terminal.ts';

/** Formats the report as text. */
export function describePurge(report: PurgeReport, scope: 'deleted' | 'unused'): string {
  const lines = [
    ...report.warnings.map((warning) => `Note: ${warning}`),
    report.dryRun ? describeDryRun(report, scope) : describeRun(report),
    ...report.errors.map((error) => `FAIL  ${error}`),
  ];
  return `${lines.join('\n')}\n`;
}

/** Formats the report as JSON with the field names of the API. */
export function formatPurgeJson(report: PurgeReport): string {
  const fields = {
    dry_run: report.dryRun,
    found: report.found,
    deleted_count: report.removed,
    deleted_files: report.files,
    deleted_bytes: report.bytes,
    // JSON omits this field if the server does not report it.
    bytes_to_delete: report.bytesToDelete,
    warnings: report.warnings,
    errors: report.errors,
  };
  return `${JSON.stringify(fields, null, 2)}\n`;
}

function describeDryRun({ found, bytesToDelete }: PurgeReport, scope: 'deleted' | 'unused'): string {
  if (found === 0) return `There are no ${scope} images to remove.`;
  const size = bytesToDelete === undefined ? '' : ` and free ${formatBytes(bytesToDelete)}`;
  return `Would remove ${formatImageCount(found, scope)}${size}. Nothing was removed; add --confirm to proceed.`;
}

function describeRun({ removed, files, bytes }: PurgeReport): string {
  return `Removed ${formatImageCount(removed)} and ${files} ${files === 1 ? 'file' : 'files'}, freeing ${formatBytes(bytes)}.`;
}

/** Formats a number of images, such as `3 unused images`. */
export function formatImageCount(count: number, scope?: string): string {
  const qualifier = scope === undefined ? '' : `${scope} `;
  return `${count} ${qualifier}${count === 1 ? 'image' : 'images'}`;
}
