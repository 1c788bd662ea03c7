/** A file that was not imported, and why. */
interface FileProblem {
  readonly file: string;
  /** Machine-readable reason, e.g. `not_a_picture`. */
  readonly code: string;
  readonly reason: string;
}

/** The result of an import. */
export interface ImportSummary {
  /** Pictures in the given files and folders. */
  readonly found: number;
  readonly new: number;
  /** Pictures that the tenant already had. */
  readonly known: number;
  /** Files that the server refused. Repeating the import does not help. */
  readonly refused: readonly FileProblem[];
  /** Files that could not be read or sent. Repeating the import may help. */
  readonly failed: readonly FileProblem[];
  /** Number of files in folders without a picture extension, and of symbolic links. */
  readonly skipped: number;
  /** Pictures that were not uploaded or not awaited because the import stopped. */
  readonly notFinished: number;
  /** Why the import stopped early, or null. */
  readonly stopped: 'interrupted' | 'server-lost' | null;
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

/** Returns the exit code: 0 if all pictures were imported, 130 after an interrupt as shells expect, else 1. */
export function importExitCode(summary: ImportSummary): number {
  if (summary.stopped === 'interrupted') return 130;
  return summary.refused.length + summary.failed.length + summary.notFinished > 0 ? 1 : 0;
}

/** More problems than this are grouped by their code. */
const maxListed = 10;
const examplesPerGroup = 3;

/** Formats the summary as text. */
export function describeImport(summary: ImportSummary): string {
  const lines = [
    headline(summary),
    ...describeProblems('Refused', summary.refused),
    ...describeProblems('Failed', summary.failed),
  ];
  if (summary.skipped > 0)
    lines.push(`Skipped: ${count(summary.skipped, 'file')} without a picture extension.`);
  if (summary.stopped) lines.push(describeStop(summary));
  return `${lines.join('\n')}\n`;
}

function headline(summary: ImportSummary): string {
  if (summary.found === 0) return 'No pictures found.';
  const numbers = [
    `${summary.new} new`,
    `${summary.known} known`,
    `${summary.refused.length} refused`,
    ...(summary.failed.length > 0 ? [`${summary.failed.length} failed`] : []),
  ];
  const rate = `${summary.seconds.toFixed(1)} s, ${summary.imagesPerSecond.toFixed(1)} images/s`;
  return `${count(summary.found, 'picture')}: ${numbers.join(', ')} (${rate})`;
}

function describeStop({ stopped, notFinished }: ImportSummary): string {
  const reason = stopped === 'interrupted' ? 'Interrupted' : 'Stopped because the server no longer responds';
  return `${reason}; ${count(notFinished, 'picture')} not finished. Run the same command again to continue.`;
}

/** Lists a few problems individually and groups many, because repeating one reason a hundred times is no help. */
function describeProblems(title: string, problems: readonly FileProblem[]): string[] {
  if (problems.length === 0) return [];
  if (problems.length <= maxListed) {
    return [`${title}:`, ...problems.map(describeProblem)];
  }
  const groups = Object.entries(Object.groupBy(problems, ({ code }) => code));
  return [`${title}:`, ...groups.flatMap(([code, group = []]) => describeGroup(code, group))];
}

function describeGroup(code: string, group: readonly FileProblem[]): string[] {
  const omitted = group.length - examplesPerGroup;
  return [
    `  ${group.length} × ${code}, for example`,
    ...group.slice(0, examplesPerGroup).map((problem) => `  ${describeProblem(problem)}`),
    ...(omitted > 0 ? [`    … and ${omitted} more; --json lists them all`] : []),
  ];
}

function describeProblem({ file, reason }: FileProblem): string {
  return `  ${file}: ${reason}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** The result for one file. */
export type FileResult =
  | { readonly outcome: 'new' | 'known' }
  | { readonly outcome: 'refused' | 'failed'; readonly code: string; readonly reason: string };

/** Counts the results of an import. */
interface ImportTally {
  add(file: string, result: FileResult): void;
  /** Whether so many uploads in a row failed that the server must be down. */
  isServerLost(): boolean;
  summary(facts: Pick<ImportSummary, 'found' | 'skipped' | 'stopped'>): ImportSummary;
}

const maxFailuresInRow = 8;

/** Creates an empty tally and starts its clock. */
export function makeImportTally(): ImportTally {
  const startedAt = performance.now();
  const counts = { new: 0, known: 0 };
  const problems: Record<'refused' | 'failed', FileProblem[]> = { refused: [], failed: [] };
  let failuresInRow = 0;

  return {
    add(file, result) {
      const isServerFailure = result.outcome === 'failed' && result.code === 'server_failed';
      failuresInRow = isServerFailure ? failuresInRow + 1 : 0;
      if ('reason' in result)
        problems[result.outcome].push({ file, code: result.code, reason: result.reason });
      else counts[result.outcome] += 1;
    },
    isServerLost: () => failuresInRow >= maxFailuresInRow,
    summary(facts) {
      const done = counts.new + counts.known + problems.refused.length + problems.failed.length;
      const seconds = (performance.now() - startedAt) / 1000;
      const imagesPerSecond = (counts.new + counts.known) / Math.max(seconds, 0.001);
      return { ...facts, ...counts, ...problems, notFinished: facts.found - done, seconds, imagesPerSecond };
    },
  };
}
