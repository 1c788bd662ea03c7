import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { services } from './test/support/services.ts';
import { measureTimeScale } from './test/support/time-scale.ts';

/** Tests that need a server: several connections at once, its restarts, its roles. */
const onServer = ['test/postgres/**/*.test.ts'];

/** Tests that run on each database that there is: of rows, and of services where several connections could lose data. */
const onEachDatabase = [
  'test/db/**/*.test.ts',
  'test/services/{purge,sweep}/**/*.test.ts',
  'test/services/{ingest-upload,lost-lease,near-duplicates,references,run-job,upload-races}.test.ts',
];

/** Further tests that `npm run test:all` runs on each database. */
const onEachDatabaseInFull = ['test/services/**/*.test.ts', 'test/worker/**/*.test.ts'];

/** Fills a database with thousands of rows for its planner, which is the same in both: one is enough. */
const onOneDatabase = ['test/db/plans.test.ts'];

/** Tests that load the image library, which then refuses other formats to all tests of the process. */
const ofPictures = ['test/imaging/**/*.test.ts'];

/** Tests that replace modules of Node, or measure the memory of their process. */
const alone = ['test/fetcher/open-connection.test.ts', 'test/storage/s3/s3-faults.test.ts'];

/** Folders whose tests start processes and wait for them. */
const long = /\/test\/(?:cli|deploy|process|queue)\//;

/**
 * One project after the other: a worker is kept for the next file only if that file is of the same project. In each, long
 * files come first, so that none of them is left to run alone at the end.
 */
class ByProject extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ project, moduleId }: TestSpecification) =>
      `${project.name} ${long.test(moduleId) ? 0 : 1}`;
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => rank(one).localeCompare(rank(other)));
  }
}

const timeScale = measureTimeScale();

/** `vitest run` runs the tests of `npm test`; `vitest run --mode all` also those tagged slow, and all rounds of the others. */
export default defineConfig(({ mode }) => {
  const isThorough = mode === 'all';
  const inherited = { extends: true as const };
  const embedded = {
    ...inherited,
    test: {
      name: 'embedded',
      include: ['test/**/*.test.ts'],
      exclude: [
        ...onServer,
        ...ofPictures,
        ...alone,
        ...(services.databaseUrl && !isThorough ? onOneDatabase : []),
      ],
    },
  };
  const postgres = {
    ...inherited,
    test: {
      name: 'postgres',
      include: [...onServer, ...onEachDatabase, ...(isThorough ? onEachDatabaseInFull : [])],
      exclude: ['test/db/engine/embedded.test.ts'],
      env: { TEST_ENGINE: 'postgres' },
    },
  };
  const imaging = { ...inherited, test: { name: 'imaging', include: ofPictures } };
  const isolated = { ...inherited, test: { name: 'isolated', include: alone, isolate: true } };
  return {
    test: {
      globalSetup: ['test/support/global-setup.ts'],
      projects: [embedded, ...(services.databaseUrl ? [postgres] : []), imaging, isolated],
      pool: 'forks',
      // Files of one worker share its modules, its database and its decoders.
      isolate: false,
      sequence: { sequencer: ByProject },
      // One more than there are cores: tests also wait.
      maxWorkers: availableParallelism() + 1,
      // Only a failure waits as long as this: tests wait for events.
      testTimeout: 40_000 * timeScale,
      hookTimeout: 40_000 * timeScale,
      expect: { poll: { timeout: 15_000 * timeScale } },
      tags: [{ name: 'slow', description: 'Runs in `npm run test:all` only.', timeout: 200_000 * timeScale }],
      ...(isThorough ? {} : { tagsFilter: ['!slow'] }),
      env: { TEST_TIME_SCALE: String(timeScale), TEST_ALL: String(isThorough) },
      reporters: ['default'],
      // `npm run coverage`. What runs in processes of its own (commands, decoder children) is not seen by it.
      coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text', 'html'] },
    },
  };
});
