/** A file that was not imported, and why. */
interface FileProblem {
  readonly file: string;
  /** Machine-readable name of the reason, e.g. `not_a_picture`. */
  readonly code: string;
  readonly reason: string;
}

/** What an import did. */
export interface ImportSummary {
  /** Pictures that the named files and folders hold. */
  readonly found: number;
  readonly new: number;
  /** Pictures that the tenant already had. */
  readonly known: number;
  /** Files that the server does not want: repeating does not help. */
  readonly refused: readonly FileProblem[];
  /** Files that could not be read or sent: repeating may help. */
  readonly failed: readonly FileProblem[];
  /** Files in folders that are no pictures by their name, and symbolic links. */
  readonly skipped: number;
  /** Pictures that were not sent, or not waited for, because the import stopped. */
  readonly notFinished: number;
  /** Why the import stopped before its end, or null. */
  readonly stopped: 'interrupted' | 'server-lost' | null;
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

/** Exit code of an import: 0 if every picture is in, 130 after an interrupt as shells expect it, else 1. */
export function importExitCode(summary: ImportSummary): number {
  if (summary.stopped === 'interrupted') return 130;
  return summary.refused.length + summary.failed.length + summary.notFinished > 0 ? 1 : 0;
}

const listedWithoutGroups = 10;
const examplesOfGroup = 3;

/** The summary as text for a person. */
export function describeImport(summary: ImportSummary): string {
  const lines = [
    headline(summary),
    ...describeProblems('Refused', summary.refused),
    ...describeProblems('Failed', summary.failed),
  ];
  if (summary.skipped > 0) lines.push(`Skipped: ${count(summary.skipped, 'file')} not named as a picture.`);
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
  const why =
    stopped === 'interrupted' ? 'Stopped on request' : 'Stopped because the server no longer answers';
  return `${why}; ${count(notFinished, 'picture')} not finished. Running the same import again goes on from here.`;
}

/** A few problems are listed one by one; many are grouped, because the same reason a hundred times tells nothing. */
function describeProblems(title: string, problems: readonly FileProblem[]): string[] {
  if (problems.length === 0) return [];
  if (problems.length <= listedWithoutGroups) {
    return [`${title}:`, ...problems.map(describeProblem)];
  }
  const groups = Object.entries(Object.groupBy(problems, ({ code }) => code));
  return [`${title}:`, ...groups.flatMap(([code, group = []]) => describeGroup(code, group))];
}

function describeGroup(code: string, group: readonly FileProblem[]): string[] {
  const rest = group.length - examplesOfGroup;
  return [
    `  ${group.length} × ${code}, for example`,
    ...group.slice(0, examplesOfGroup).map((problem) => `  ${describeProblem(problem)}`),
    ...(rest > 0 ? [`    … and ${rest} more; --json lists them all`] : []),
  ];
}

function describeProblem({ file, reason }: FileProblem): string {
  return `  ${file}: ${reason}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** How one file of an import ended. */
export type FileResult =
  | { readonly outcome: 'new' | 'known' }
  | { readonly outcome: 'refused' | 'failed'; readonly code: string; readonly reason: string };

/** Counts an import's results as they come in. */
interface ImportTally {
  add(file: string, result: FileResult): void;
  /** Whether so many uploads failed one after the other that the server must be gone. */
  isServerLost(): boolean;
  summary(facts: Pick<ImportSummary, 'found' | 'skipped' | 'stopped'>): ImportSummary;
}

const failuresOfLostServer = 8;

/** Makes an empty tally whose clock starts now. */
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
    isServerLost: () => failuresInRow >= failuresOfLostServer,
    summary(facts) {
      const done = counts.new + counts.known + problems.refused.length + problems.failed.length;
      const seconds = (performance.now() - startedAt) / 1000;
      const imagesPerSecond = (counts.new + counts.known) / Math.max(seconds, 0.001);
      return { ...facts, ...counts, ...problems, notFinished: facts.found - done, seconds, imagesPerSecond };
    },
  };
}
