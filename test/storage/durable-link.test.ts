import { execFile, spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { makeTestFolder } from '../support/inner/folders.ts';

const run = promisify(execFile);
/** Whether the test can observe the order of system calls. This requires strace and permission to trace a process. */
const canTrace = spawnSync('strace', ['-f', 'true']).status === 0;
const storageModule = pathToFileURL(join(import.meta.dirname, '../../src/storage/local.ts')).href;
const stagingModule = pathToFileURL(join(import.meta.dirname, '../../src/storage/staging.ts')).href;

/** Receives and stores a file in a traced process. Returns short names of its file system calls, in order. */
async function trace(root: string): Promise<string[]> {
  const output = join(root, 'trace');
  const program = `
    import { Readable } from 'node:stream';
    const { makeLocalStorage } = await import(${JSON.stringify(storageModule)});
    const { makeStaging } = await import(${JSON.stringify(stagingModule)});
    const storage = await makeLocalStorage(${JSON.stringify(join(root, 'store'))});
    const { path } = await makeStaging(storage.stagingDirectory).receive(Readable.from([Buffer.from('x')]));
    await storage.store([{ path, key: 'originals/1/ab/abc' }], 'original');
    process.stdout.write('stored');`;
  const traceFilter = 'trace=write,fsync,fdatasync,link,linkat,mkdir,mkdirat';
  await run('strace', [
    '-f',
    '-y',
    '-e',
    traceFilter,
    '-o',
    output,
    process.execPath,
    '--input-type=module',
    '-e',
    program,
  ]);
  return (await readFile(output, 'utf8')).split('\n').flatMap(findShortNames);
}

const patterns: ReadonlyArray<readonly [RegExp, string]> = [
  [/f(?:data)?sync\(\d+<.*\/(?:\.staging\/[^>]+|originals\/1\/ab\/abc)>/, 'sync file'],
  [/link(?:at)?\(.*\/originals\/1\/ab\/abc"/, 'link'],
  [/f(?:data)?sync\(\d+<.*\/originals\/1\/ab>/, 'sync folder'],
  [/f(?:data)?sync\(\d+<.*\/originals\/1>/, 'sync parent'],
  [/mkdir(?:at)?\(.*\/originals\/1\/ab"/, 'make folder'],
  [/write\(1<.*"stored"/, 'respond'],
];

function findShortNames(line: string): string[] {
  return patterns.filter(([pattern]) => pattern.test(line)).map(([, name]) => name);
}

test.runIf(canTrace)('syncs a file and its folders to disk before `store` returns', async () => {
  const root = await makeTestFolder();
  await mkdir(join(root, 'store'));
  await writeFile(join(root, 'trace'), '');
  const calls = await trace(root);
  // The file may be synced under either name, but its folder must be synced after the link is created.
  expect(calls.toSorted()).toEqual(
    ['respond', 'link', 'make folder', 'sync file', 'sync folder', 'sync parent'].toSorted(),
  );
  expect(calls.indexOf('make folder')).toBeLessThan(calls.indexOf('sync parent'));
  expect(calls.indexOf('sync parent')).toBeLessThan(calls.indexOf('link'));
  expect(calls.indexOf('link')).toBeLessThan(calls.indexOf('sync folder'));
  expect(calls.at(-1)).toBe('respond');
});
