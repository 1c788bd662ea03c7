import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeFolder, removeFolder } from '../support/process/data-folder.ts';
import { type Comparison, makeComparison } from './support/comparison.ts';
import { drawSamples, makeWorkspace, type Workspace } from './support/workspace.ts';
import { type Example, isReadOnly, readExamples } from './support/transcript.ts';
import { waitTimeoutMs } from '../support/time-scale.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const documents = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
].sort();
const readDocument = (document: string) => readFileSync(join(root, document), 'utf8');
const documentExamples = (document: string) => readExamples(readDocument(document));
/** Whether a document's examples need an external store or host. test/http and test/deploy cover some of these. */
const needsExternalHosts = (document: string) =>
  document === 'docs/storage.md' || document.startsWith('docs/deploy/');
const testedDocuments = documents.filter(
  (document) => documentExamples(document).length > 0 && !needsExternalHosts(document),
);

const hasCurl = spawnSync('curl', ['--version']).status === 0;
if (!hasCurl)
  console.log('SKIPPED: documentation examples. Install curl and run: npx vitest run test/examples');

test('finds examples in the README and on every API page', () => {
  const pages = documents.filter((document) => document.startsWith('docs/api/'));
  expect(pages.length).toBeGreaterThan(5);
  expect(testedDocuments).toEqual(expect.arrayContaining(['README.md', ...pages]));
});

/** Documents whose examples need no sample pictures, which are slow to draw. */
const quickDocuments = ['docs/api/errors.md', 'docs/troubleshooting.md'];

async function expectExamples(document: string, samples?: string): Promise<void> {
  const workspace = await makeWorkspace(readDocument(document), samples);
  const comparison = makeComparison();
  for (const example of documentExamples(document))
    expect(await runAndCompare(workspace, comparison, example), `${document}:${example.line}`).toEqual([]);
}

test.skipIf(!hasCurl).each(quickDocuments)(
  'produces the documented output for the examples in %s',
  (document) => expectExamples(document),
);

describe('with sample pictures', { tags: 'slow' }, () => {
  let samples = '';
  beforeAll(async () => {
    samples = await makeFolder();
    await drawSamples(samples);
  });
  afterAll(() => removeFolder(samples));

  test.skipIf(!hasCurl).each(testedDocuments.filter((document) => !quickDocuments.includes(document)))(
    'produces the documented output for the examples in %s',
    (document) => expectExamples(document, samples),
  );
});

/**
 * Runs an example and returns the differences. Repeats a read-only command until there are no differences or the time
 * is up.
 */
async function runAndCompare(
  workspace: Workspace,
  comparison: Comparison,
  { command, output, settings }: Example,
): Promise<string[]> {
  const deadline = performance.now() + (isReadOnly(command) ? waitTimeoutMs : 0);
  for (;;) {
    const { code, stdout, stderr } = await workspace.run(comparison.translate(command), settings);
    const shown = isNewKey(command) ? stdout + stderr : stdout;
    const differences = comparison.findDifferences(output, shown);
    if (code !== 0) differences.unshift(`the exit code is ${code}: ${stderr.trim()}`);
    if (differences.length === 0) return [];
    if (performance.now() > deadline) return [...differences, `the output: ${shown.slice(0, 2_000)}`];
    await sleep(200);
  }
}

/** Whether a command prints a key, which a terminal shows together with the explanation on the standard error. */
function isNewKey(command: string): boolean {
  return /^npx vitrine keys (?:create|rotate) /.test(command);
}
