import { describe, expect, onTestFinished, test } from 'vitest';
import { parseRerenderAction } from '../../src/cli/rerender/rerender-command.ts';
import { UsageError } from '../../src/cli/options.ts';
import { upload } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { makeDataFolder, removeFolder } from '../support/process/data-folder.ts';
import { jpeg } from '../support/process/pictures.ts';
import { startServer } from '../support/process/server.ts';

/** Starts a server with two outdated images. */
async function startWithOutdatedImages() {
  const folder = await makeDataFolder();
  onTestFinished(() => removeFolder(folder));
  const oldServer = await startServer({ PRESETS: '{"card": 60}' }, folder);
  for (const name of ['left', 'right']) await upload(oldServer.url, await jpeg(name));
  await oldServer.stop();
  return startServer({ PRESETS: '{"card": 80}' }, folder);
}

test('estimates, makes renditions again, and lists what it has done', async () => {
  const { dataDir } = await startWithOutdatedImages();
  const rerender = (...args: string[]) => runVitrine(['rerender', ...args], { DATA_DIR: dataDir });

  const dryRun = await rerender('--preset', 'card', '--dry-run');
  expect(dryRun.stdout).toMatch(
    /^Images with outdated or missing renditions: 2\n {2}card jpeg: 2 files, about [\d.]+ (bytes|kB)\nSize: about .*\nTime: \d+ s, divided/,
  );
  expect(dryRun.code).toBe(0);
  const estimate = JSON.parse((await rerender('--preset', 'card', '--dry-run', '--json')).stdout);
  expect(estimate).toMatchObject({ images: 2, files: [{ preset: 'card', format: 'jpeg', files: 2 }] });

  const run = await rerender('--preset', 'card');
  expect([run.code, run.stdout]).toEqual([
    0,
    'Re-rendering 1 (card) is completed: 2 of 2 images done, 0 skipped, 0 failed.\n',
  ]);
  expect(run.stderr).toMatch(/^Rendering 2\/2 .*done$/m);
  const nothing = await rerender('--preset', 'card', '--dry-run');
  expect(nothing.stdout).toBe('All renditions are up to date.\n');
  expect((await rerender('list')).stdout).toBe(
    'Re-rendering 1 (card) is completed: 2 of 2 images done, 0 skipped, 0 failed.\n',
  );
  expect(JSON.parse((await rerender('watch', '1', '--json')).stdout)).toMatchObject({
    id: 1,
    state: 'completed',
    failures: [],
  });

  const cancelled = await rerender('cancel', '1');
  expect([cancelled.code, cancelled.stderr]).toEqual([
    1,
    'Re-rendering 1 is completed and can no longer be changed.\n',
  ]);
  const unknown = await rerender('--preset', 'hero');
  expect([unknown.code, unknown.stderr]).toEqual([1, 'There is no preset "hero"; the presets are card.\n']);
});

test('computes outdated fingerprints again, and shows the progress', async () => {
  const { dataDir } = await startWithOutdatedImages();
  const reindex = (...args: string[]) => runVitrine(['reindex', ...args], { DATA_DIR: dataDir });
  const dryRun = await reindex('--dry-run');
  expect([dryRun.code, dryRun.stdout]).toEqual([0, 'All fingerprints and embeddings are up to date.\n']);
  const run = await reindex();
  expect([run.code, run.stdout]).toEqual([
    0,
    'Reindexing 1 is completed: 0 of 0 images done, 0 skipped, 0 failed.\n',
  ]);
  expect((await reindex('list')).stdout).toBe(run.stdout);
});

describe('arguments', () => {
  const options = { presets: [], tenant: undefined, isDryRun: false };

  test('name presets, or an action with an id', () => {
    expect(parseRerenderAction([], { ...options, presets: ['card'] })).toMatchObject({ kind: 'start' });
    expect(parseRerenderAction(['list'], options)).toEqual({ kind: 'list' });
    expect(parseRerenderAction(['pause', '3'], options)).toEqual({ kind: 'pause', id: '3' });
  });

  test.each([
    [[], options, 'Specify at least one --preset'],
    [['watch'], options, 'watch needs the id'],
    [['watch', 'three'], options, 'watch needs the id'],
    [['stop', '3'], options, 'list, watch <id>'],
    [['list', '3'], options, 'list, watch <id>'],
    [['watch', '3', '4'], options, 'Unexpected argument "4"'],
    [['list'], { ...options, isDryRun: true }, 'cannot be combined with list'],
  ])('%j are rejected', (inputs, given, message) => {
    expect(() => parseRerenderAction(inputs, given)).toThrow(UsageError);
    expect(() => parseRerenderAction(inputs, given)).toThrow(message);
  });
});
