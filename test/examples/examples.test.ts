import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeFolder, removeFolder } from '../support/process/data-folder.ts';
import { type Comparison, makeComparison } from './support/agreement.ts';
import { drawSamples, makeStage, type Stage } from './support/stage.ts';
import { type Example, onlyReads, readExamples } from './support/transcript.ts';
import { waitTimeoutMs } from '../support/time-scale.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const documents = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
].sort();
const read = (document: string) => readFileSync(join(root, document), 'utf8');
const examplesOf = (document: string) => readExamples(read(document));
/** These speak of a store or of hosts that are elsewhere; test/http and test/deploy make the same calls where they can. */
const isElsewhere = (document: string) =>
  document === 'docs/storage.md' || document.startsWith('docs/deploy/');
const runnable = documents.filter((document) => examplesOf(document).length > 0 && !isElsewhere(document));

const hasCurl = spawnSync('curl', ['--version']).status === 0;
if (!hasCurl) console.log('skipped: there is no curl; install it and run: npx vitest run test/examples');

test('the README and every page on the API have examples', () => {
  const pages = documents.filter((document) => document.startsWith('docs/api/'));
  expect(pages.length).toBeGreaterThan(5);
  expect(runnable).toEqual(expect.arrayContaining(['README.md', ...pages]));
});

/** Documents whose examples are quick: they use no sample pictures, which take long to draw. */
const quick = ['docs/api/errors.md', 'docs/troubleshooting.md'];

async function expectExamples(document: string, samples?: string): Promise<void> {
  const stage = await makeStage(read(document), samples);
  const comparison = makeComparison();
  for (const example of examplesOf(document))
    expect(await differencesOf(stage, comparison, example), `${document}:${example.line}`).toEqual([]);
}

test.skipIf(!hasCurl).each(quick)('the examples of %s, in their order, give what it shows', (document) =>
  expectExamples(document),
);

describe('with sample pictures', { tags: 'slow' }, () => {
  let samples = '';
  beforeAll(async () => {
    samples = await makeFolder();
    await drawSamples(samples);
  });
  afterAll(() => removeFolder(samples));

  test.skipIf(!hasCurl).each(runnable.filter((document) => !quick.includes(document)))(
    'the examples of %s, in their order, give what it shows',
    (document) => expectExamples(document, samples),
  );
});

/** Runs one example, again and again if it only asks, until it agrees; answers what differs at last. */
async function differencesOf(
  stage: Stage,
  comparison: Comparison,
  { command, output }: Example,
): Promise<string[]> {
  const deadline = performance.now() + (onlyReads(command) ? waitTimeoutMs : 0);
  for (;;) {
    const { code, stdout, stderr } = await stage.run(comparison.translate(command));
    const found = comparison.differences(output, stdout);
    if (code !== 0) found.unshift(`the exit code is ${code}: ${stderr.trim()}`);
    if (found.length === 0) return [];
    if (performance.now() > deadline) return [...found, `the answer: ${stdout.slice(0, 2_000)}`];
    await sleep(200);
  }
}
