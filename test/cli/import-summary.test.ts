import { expect, test } from 'vitest';
import { describeImport, importExitCode, type ImportSummary } from '../../src/cli/import/import-summary.ts';
import { formatProgress, startProgress } from '../../src/cli/terminal.ts';

const emptySummary: ImportSummary = {
  found: 0,
  new: 0,
  known: 0,
  refused: [],
  failed: [],
  skipped: 0,
  notFinished: 0,
  stopped: null,
  seconds: 2,
  imagesPerSecond: 0,
};

function makeProblems(count: number, code: string) {
  return Array.from({ length: count }, (_, index) => ({
    file: `${index}.jpg`,
    code,
    reason: `Reason ${code}.`,
  }));
}

test('summarises a successful import in one line', () => {
  const summary = { ...emptySummary, found: 30, new: 28, known: 2, imagesPerSecond: 15 };
  expect(describeImport(summary)).toBe('30 images: 28 new, 2 known, 0 refused (2.0 s, 15.0 images/s)\n');
  expect(importExitCode(summary)).toBe(0);
});

test('lists a few rejected files with their reasons', () => {
  const summary = { ...emptySummary, found: 2, refused: makeProblems(2, 'not_a_picture'), skipped: 1 };
  expect(describeImport(summary)).toBe(
    '2 images: 0 new, 0 known, 2 refused (2.0 s, 0.0 images/s)\n' +
      'Refused:\n  0.jpg: Reason not_a_picture.\n  1.jpg: Reason not_a_picture.\n' +
      'Skipped: 1 file (no image extension, or a symbolic link).\n',
  );
  expect(importExitCode(summary)).toBe(1);
});

test('groups many rejected files by reason', () => {
  const refused = [...makeProblems(12, 'not_a_picture'), ...makeProblems(1, 'picture_damaged')];
  const text = describeImport({ ...emptySummary, found: 13, refused });
  expect(text).toContain('12 × not_a_picture, for example\n');
  expect(text).toContain('… and 9 more; --json lists them all\n');
  expect(text).toContain('1 × picture_damaged, for example\n    0.jpg: Reason picture_damaged.\n');
});

test('reports an interrupted import', () => {
  const summary: ImportSummary = {
    ...emptySummary,
    found: 9,
    new: 4,
    notFinished: 5,
    stopped: 'interrupted',
  };
  expect(describeImport(summary)).toContain('Interrupted; 5 images not finished.');
  expect(importExitCode(summary)).toBe(130);
});

test('returns exit code 1 for failures and unfinished pictures', () => {
  expect(importExitCode({ ...emptySummary, failed: makeProblems(1, 'server_failed') })).toBe(1);
  expect(importExitCode({ ...emptySummary, stopped: 'server-lost', notFinished: 1 })).toBe(1);
  expect(describeImport(emptySummary)).toBe('No images found.\n');
});

test('formats the progress with the rate and the remaining time', () => {
  expect(formatProgress('Importing', 0, 100, 0)).toBe('Importing 0/100  0.0 images/s  starting');
  expect(formatProgress('Importing', 40, 100, 4)).toBe('Importing 40/100  10.0 images/s  6 s left');
  expect(formatProgress('Importing', 10, 1000, 10)).toBe('Importing 10/1000  1.0 images/s  16 min 30 s left');
  expect(formatProgress('Rendering', 60, 100, 4, 40)).toBe('Rendering 60/100  5.0 images/s  8 s left');
  expect(formatProgress('Importing', 100, 100, 10)).toBe('Importing 100/100  10.0 images/s  done');
});

test.each([
  { isTTY: false, columns: 80, hasBar: false },
  { isTTY: true, columns: 100, hasBar: true },
  { isTTY: true, columns: 40, hasBar: false },
])('shows a progress bar only on a terminal that is wide enough: %o', ({ isTTY, columns, hasBar }) => {
  let writtenText = '';
  const output = { isTTY, columns, write: (text: string) => (writtenText += text) };
  const progress = startProgress('Importing', 2, output);
  progress.advance();
  progress.advance();
  progress.stop();
  expect(writtenText).toContain('Importing 2/2');
  expect(writtenText.includes('█')).toBe(hasBar);
  expect(writtenText.endsWith('\n')).toBe(true);
});
