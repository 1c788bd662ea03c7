import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type ApiClient, ServerFailure } from '../api-client.ts';
import { describeServerFailure } from '../import/import-command.ts';
import { importFiles, type ImportOptions } from '../import/import-files.ts';
import { describeImport, importExitCode, type ImportSummary } from '../import/import-summary.ts';
import { planCatalog } from './catalog-plan.ts';
import { generateSampleCatalog, type SampleCatalog } from './generate-sample-catalog.ts';
import { type Output, startProgress } from '../terminal.ts';

/** Options of `vitrine seed`. */
interface SeedCommandOptions extends Omit<SeedOptions, 'client' | 'errorOutput'> {
  readonly client: ApiClient;
  /** Receives progress and errors. */
  readonly errorOutput: Output;
}

/** Runs `vitrine seed`: generates a sample catalog, imports it, prints the summary and returns the exit code. */
export async function runSeedCommand(options: SeedCommandOptions): Promise<number> {
  try {
    return (await seedCatalog(options)).exitCode;
  } catch (error) {
    if (options.signal?.aborted) return 130;
    if (!(error instanceof ServerFailure)) throw error;
    options.errorOutput.write(`${describeServerFailure(error, options.client.baseUrl)}\n`);
    return 1;
  }
}

/** Options of the generator and the import. */
interface SeedOptions extends Pick<ImportOptions, 'client' | 'tenant' | 'concurrency' | 'signal'> {
  readonly output: Output;
  /** Receives progress; default: `output`. */
  readonly errorOutput?: Output;
  readonly productCount?: number;
  readonly seed?: string;
  /** Folder in which to keep the generated files. By default, a temporary folder is used and removed afterwards. */
  readonly keepDirectory?: string | undefined;
}

/** The imported catalog and the exit code. */
interface SeedResult {
  readonly catalog: SampleCatalog;
  readonly summary: ImportSummary;
  /** 0 if the corrupt file was refused and all other files were imported. */
  readonly exitCode: number;
}

const defaultProductCount = 12;
const defaultSeed = '1';

/** Generates the sample catalog and imports it. @throws {ServerFailure} if the server is unreachable. */
async function seedCatalog(options: SeedOptions): Promise<SeedResult> {
  const { client, output, keepDirectory, signal } = options;
  // The server is checked first, because drawing takes a while.
  await client.assertHealthy(signal);
  const directory = keepDirectory ?? (await mkdtemp(join(tmpdir(), 'vitrine-seed-')));
  try {
    const catalog = await generateWithProgress(directory, options);
    const inputs = catalog.files.map((file) => join(directory, file));
    const summary = await importFiles({ ...options, inputs, output: options.errorOutput ?? output });
    const exitCode = seedExitCode(summary, catalog);
    output.write(describeSeed(summary, catalog, exitCode, keepDirectory));
    return { catalog, summary, exitCode };
  } finally {
    if (keepDirectory === undefined) await rm(directory, { recursive: true, force: true });
  }
}

async function generateWithProgress(directory: string, options: SeedOptions): Promise<SampleCatalog> {
  const {
    productCount = defaultProductCount,
    seed = defaultSeed,
    output,
    errorOutput = output,
    signal,
  } = options;
  // Only drawn pictures count as progress, because the few derived files take very little time.
  const pictures = planCatalog(productCount, seed);
  const pictureNames = new Set(pictures.map(({ filename }) => filename));
  const progress = startProgress('Drawing', pictures.length, errorOutput);
  const onFile = (filename: string) => (pictureNames.has(filename) ? progress.advance() : undefined);
  try {
    return await generateSampleCatalog({ directory, productCount, seed, signal, onFile });
  } finally {
    progress.stop();
  }
}

function isCorruptFile(file: string, catalog: SampleCatalog): boolean {
  return basename(file) === catalog.corrupt;
}

function seedExitCode(summary: ImportSummary, catalog: SampleCatalog): number {
  const unexpectedRefusals = summary.refused.filter(({ file }) => !isCorruptFile(file, catalog));
  const wasCorruptFileRefused = summary.refused.length - unexpectedRefusals.length === 1;
  if (!wasCorruptFileRefused) return importExitCode(summary) || 1;
  return importExitCode({ ...summary, refused: unexpectedRefusals });
}

function describeSeed(
  summary: ImportSummary,
  catalog: SampleCatalog,
  exitCode: number,
  keepDirectory: string | undefined,
): string {
  const lines = [describeImport(summary).trimEnd()];
  if (summary.stopped === null) {
    lines.push(
      `Exact duplicates in the catalog: ${catalog.exactDuplicates.length}; near-duplicates: ${catalog.nearDuplicates.length}.`,
      exitCode === 0
        ? `${catalog.corrupt} was refused as intended: it is a truncated JPEG file.`
        : `Only ${catalog.corrupt} should have been refused.`,
    );
  }
  if (keepDirectory !== undefined) lines.push(`The files are in ${keepDirectory}.`);
  return `${lines.join('\n')}\n`;
}
