/** A file that was not imported, with the reason. */
interface FileProblem {
  readonly file: string;
  /** Machine-readable reason, such as `not_a_picture`. */
  readonly code: string;
  readonly reason: string;
}

/** The result of an import. */
export interface ImportSummary {
  /** Number of images in the given files and folders. */
  readonly found: number;
  /** Number of new images. */
  readonly new: number;
  /** Number of images that the tenant already had. */
  readonly known: number;
  /** Files that the server rejected. Repeating the import does not help. */
  readonly refused: readonly FileProblem[];
  /** Files that could not be read or sent. Repeating the import may help. */
  readonly failed: readonly FileProblem[];
  /** Number of skipped files in folders: symbolic links, and files without an image extension. */
  readonly skipped: number;
  /** Number of images that had not been uploaded or processed when the import stopped. */
  readonly notFinished: number;
  /** Why the import stopped early; `null` if it did not. */
  readonly stopped: 'interrupted' | 'server-lost' | 'access-denied' | null;
  /** Why the server denied access, if it did. */
  readonly denial?: string;
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

/** Returns the exit code: 0 if all images were imported, 130 if the import was interrupted, otherwise 1. */
export function importExitCode(summary: ImportSummary): number {
  if (summary.stopped === 'interrupted') return 130;
  return summary.refused.length + summary.failed.length + summary.notFinished > 0 ? 1 : 0;
}

/** Maximum number of problems to list individually. If there are more, they are grouped by code. */
const maxListedProblems = 10;
const examplesPerGroup = 3;

/** Formats the summary as text. */
export function describeImport(summary: ImportSummary): string {
  const lines = [
    formatHeadline(summary),
    ...describeProblems('Refused', summary.refused),
    ...describeProblems('Failed', summary.failed),
  ];
  if (summary.skipped > 0)
    lines.push(`Skipped: ${pluralize(summary.skipped, 'file')} (no image extension, or a symbolic link).`);
  if (summary.stopped) lines.push(describeStop(summary));
  return `${lines.join('\n')}\n`;
}

function formatHeadline(summary: ImportSummary): string {
  if (summary.found === 0) return 'No images found.';
  const countTexts = [
    `${summary.new} new`,
    `${summary.known} known`,
    `${summary.refused.length} refused`,
    ...(summary.failed.length > 0 ? [`${summary.failed.length} failed`] : []),
  ];
  const rate = `${summary.seconds.toFixed(1)} s, ${summary.imagesPerSecond.toFixed(1)} images/s`;
  return `${pluralize(summary.found, 'image')}: ${countTexts.join(', ')} (${rate})`;
}

function describeStop({ stopped, notFinished, denial }: ImportSummary): string {
  const reason = stopped === 'interrupted' ? 'Interrupted' : 'Stopped because the server no longer responds';
  if (denial !== undefined) return `Stopped; ${pluralize(notFinished, 'image')} not finished. ${denial}`;
  return `${reason}; ${pluralize(notFinished, 'image')} not finished. Run the same command again to continue.`;
}

/**
 * Lists a few problems individually but groups many problems by code, so that the same reason is not repeated.
 */
function describeProblems(title: string, problems: readonly FileProblem[]): string[] {
  if (problems.length === 0) return [];
  if (problems.length <= maxListedProblems) {
    return [`${title}:`, ...problems.map(describeProblem)];
  }
  const groups = Object.entries(Object.groupBy(problems, ({ code }) => code));
  return [`${title}:`, ...groups.flatMap(([code, group = []]) => describeGroup(code, group))];
}

function describeGroup(code: string, group: readonly FileProblem[]): string[] {
  const omittedCount = group.length - examplesPerGroup;
  return [
    `  ${group.length} × ${code}, for example`,
    ...group.slice(0, examplesPerGroup).map((problem) => `  ${describeProblem(problem)}`),
    ...(omittedCount > 0 ? [`    … and ${omittedCount} more; --json lists them all`] : []),
  ];
}

function describeProblem({ file, reason }: FileProblem): string {
  return `  ${file}: ${reason}`;
}

function pluralize(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** The result for one file. */
export type FileResult =
  | { readonly outcome: 'new' | 'known' }
  | { readonly outcome: 'refused' | 'failed'; readonly code: string; readonly reason: string };

/** Counts the results of an import. */
interface ImportTally {
  add(file: string, result: FileResult): void;
  /** Whether so many consecutive uploads have failed that the server is presumably down. */
  isServerDown(): boolean;
  summarize(scan: Pick<ImportSummary, 'found' | 'skipped' | 'stopped'>): ImportSummary;
}

const maxConsecutiveFailures = 8;

/** Creates an empty tally. The duration of the import is measured from this point. */
export function makeImportTally(): ImportTally {
  const startedAt = performance.now();
  const counts = { new: 0, known: 0 };
  const problems: Record<'refused' | 'failed', FileProblem[]> = { refused: [], failed: [] };
  let consecutiveFailures = 0;

  return {
    add(file, result) {
      const isServerFailure = result.outcome === 'failed' && result.code === 'server_failed';
      consecutiveFailures = isServerFailure ? consecutiveFailures + 1 : 0;
      if ('reason' in result)
        problems[result.outcome].push({ file, code: result.code, reason: result.reason });
      else counts[result.outcome] += 1;
    },
    isServerDown: () => consecutiveFailures >= maxConsecutiveFailures,
    summarize(scan) {
      const finishedCount = counts.new + counts.known + problems.refused.length + problems.failed.length;
      const seconds = (performance.now() - startedAt) / 1000;
      const imagesPerSecond = (counts.new + counts.known) / Math.max(seconds, 0.001);
      return {
        ...scan,
        ...counts,
        ...problems,
        notFinished: scan.found - finishedCount,
        seconds,
        imagesPerSecond,
      };
    },
  };
}
