import type { FileProblem, ImportSummary } from './import-summary.ts';

/** How one file of an import ended. */
export type FileResult =
  | { readonly outcome: 'new' | 'known' }
  | { readonly outcome: 'refused' | 'failed'; readonly code: string; readonly reason: string };

/** Counts an import's results as they come in. */
export interface ImportTally {
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
