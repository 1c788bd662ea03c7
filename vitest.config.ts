import { globSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { services } from './test/support/services.ts';
import { measureTimeScale } from './test/support/time-scale.ts';

/** Tests that need a PostgreSQL server, for concurrent connections, restarts or roles. */
const serverTests = ['test/postgres/**/*.test.ts'];

/** Tests that run on both databases: of queries, and of services in which concurrent connections could lose data. */
const bothDatabasesTests = [
  'test/db/**/*.test.ts',
  'test/services/{ingest-upload,lost-lease,references,upload-races}.test.ts',
];

/** Further tests that `npm run test:all` runs on both databases. */
const bothDatabasesTestsInFull = ['test/services/**/*.test.ts', 'test/worker/**/*.test.ts'];

/** Tests that fill a database with thousands of rows for the planner. It is the same in both, so one run is enough. */
const singleDatabaseTests = ['test/db/plans.test.ts'];

/** Tests whose result may differ for a user to whom row-level security applies, other than an administrator. */
const ordinaryUserTests = ['test/db/plans.test.ts', 'test/db/engine/tenant-binding.test.ts'];

/** Tests that load the image library, which then disables other formats for the whole process. */
const imagingTests = ['test/imaging/**/*.test.ts'];

/** Tests that mock Node modules, or measure the memory of their process. */
const isolatedTests = ['test/fetcher/open-connection.test.ts', 'test/storage/s3/s3-faults.test.ts'];

/** Returns the test files without a test that is tagged `scenario`, so that a run of scenarios does not load them. */
function listFilesWithoutScenarios(): string[] {
  const files = globSync('test/**/*.test.ts');
  return files.filter((file) => !readFileSync(file, 'utf8').includes("tags: 'scenario'"));
}

/** Folders whose tests are slow because they start processes. */
const slowFolders = /\/test\/(?:cli|deploy|process|queue)\//;

/**
 * Runs the projects in sequence, because a worker is reused only for files of the same project. Within a project, slow files
 * run first, so that none of them remains at the end.
 */
class ByProject extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ project, moduleId }: TestSpecification) =>
      `${project.name} ${slowFolders.test(moduleId) ? 0 : 1}`;
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => rank(one).localeCompare(rank(other)));
  }
}

const timeScale = measureTimeScale();

/**
 * `vitest run` runs the tests of `npm test`, and `--mode scenarios` those tagged `scenario`. `--mode all` runs both, those
 * tagged `slow`, and more rounds.
 */
export default defineConfig(({ mode }) => {
  const isThorough = mode === 'all';
  const onlyScenarios = mode === 'scenarios';
  const inherited = { extends: true as const };
  const excluded = onlyScenarios ? listFilesWithoutScenarios() : [];
  const embedded = {
    ...inherited,
    test: {
      name: 'embedded',
      include: ['test/**/*.test.ts'],
      exclude: [
        ...excluded,
        ...serverTests,
        ...imagingTests,
        ...isolatedTests,
        ...(services.databaseUrl && !isThorough ? singleDatabaseTests : []),
      ],
    },
  };
  const postgres = {
    ...inherited,
    test: {
      name: 'postgres',
      include: [...serverTests, ...bothDatabasesTests, ...(isThorough ? bothDatabasesTestsInFull : [])],
      exclude: [...excluded, 'test/db/engine/embedded.test.ts'],
      env: { TEST_ENGINE: 'postgres' },
    },
  };
  const ordinaryUser = {
    ...inherited,
    test: {
      name: 'postgres as an ordinary user',
      include: ordinaryUserTests,
      exclude: excluded,
      env: { TEST_ENGINE: 'postgres', TEST_LOGIN: 'owner' },
    },
  };
  const imaging = { ...inherited, test: { name: 'imaging', include: imagingTests, exclude: excluded } };
  const isolated = {
    ...inherited,
    test: { name: 'isolated', include: isolatedTests, exclude: excluded, isolate: true },
  };
  return {
    test: {
      globalSetup: ['test/support/global-setup.ts'],
      projects: [embedded, ...(services.databaseUrl ? [postgres, ordinaryUser] : []), imaging, isolated],
      pool: 'forks',
      // The files of a worker share its modules, database and decoders.
      isolate: false,
      sequence: { sequencer: ByProject },
      // More than there are cores, because tests often wait.
      maxWorkers: availableParallelism() + 2,
      // Only a failing test takes this long: tests wait for events.
      testTimeout: 40_000 * timeScale,
      hookTimeout: 40_000 * timeScale,
      expect: { poll: { timeout: 15_000 * timeScale } },
      tags: [
        { name: 'slow', description: 'Runs in `npm run test:all` only.', timeout: 200_000 * timeScale },
        {
          name: 'scenario',
          description:
            'Takes seconds, and tests one more case of a kind that `npm test` covers. Runs in `npm run test:scenarios`, which CI calls.',
        },
      ],
      ...(isThorough ? {} : { tagsFilter: [onlyScenarios ? 'scenario && !slow' : '!slow && !scenario'] }),
      env: { TEST_TIME_SCALE: String(timeScale), TEST_ALL: String(isThorough) },
      reporters: ['default'],
      // For `npm run coverage`. Child processes (commands, decoder children) are not covered.
      coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text', 'html'] },
    },
  };
});
