import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type ApiClient, ServerFailure } from '../api-client.ts';
import { describeNoServer } from '../import/import-command.ts';
import { importFiles, type ImportOptions } from '../import/import-files.ts';
import { describeImport, importExitCode, type ImportSummary } from '../import/import-summary.ts';
import { planCatalog } from './catalog-plan.ts';
import { generateSampleCatalog, type SampleCatalog } from './generate-sample-catalog.ts';
import { type Output, startProgress } from '../terminal.ts';

/** Options of the command `seed`. */
interface SeedCommandOptions extends Omit<SeedOptions, 'client' | 'errorOutput'> {
  readonly client: ApiClient;
  /** Takes progress and errors. */
  readonly errorOutput: Output;
}

/** Runs `vitrine seed`: generates, imports, prints the summary, answers the exit code. */
export async function runSeedCommand(options: SeedCommandOptions): Promise<number> {
  try {
    return (await seedCatalog(options)).exitCode;
  } catch (error) {
    if (options.signal?.aborted) return 130;
    if (!(error instanceof ServerFailure)) throw error;
    options.errorOutput.write(`${describeNoServer(error, options.client.baseUrl)}\n`);
    return 1;
  }
}

/** What to generate and where to import it. */
interface SeedOptions extends Pick<ImportOptions, 'client' | 'tenant' | 'concurrency' | 'signal'> {
  readonly output: Output;
  /** Takes the progress; `output` unless given. */
  readonly errorOutput?: Output;
  readonly products?: number;
  readonly seed?: string;
  /** Folder that keeps the generated files; a temporary one is used and removed otherwise. */
  readonly keepDirectory?: string | undefined;
}

/** What a seeding did, and its exit code. */
interface SeedResult {
  readonly catalog: SampleCatalog;
  readonly summary: ImportSummary;
  /** 0 if exactly the broken file was refused. */
  readonly exitCode: number;
}

const standardProducts = 12;
const standardSeed = '1';

/** Generates the sample catalog and imports it. Throws `ServerFailure` if there is no server. */
async function seedCatalog(options: SeedOptions): Promise<SeedResult> {
  const { client, output, keepDirectory, signal } = options;
  // Drawing takes a while: a missing server is better told before than after.
  await client.health(signal);
  const directory = keepDirectory ?? (await mkdtemp(join(tmpdir(), 'vitrine-seed-')));
  try {
    const catalog = await generateShowingProgress(directory, options);
    const inputs = catalog.files.map((file) => join(directory, file));
    const summary = await importFiles({ ...options, inputs, output: options.errorOutput ?? output });
    const exitCode = seedExitCode(summary, catalog);
    output.write(describeSeed(summary, catalog, exitCode, keepDirectory));
    return { catalog, summary, exitCode };
  } finally {
    if (keepDirectory === undefined) await rm(directory, { recursive: true, force: true });
  }
}

async function generateShowingProgress(directory: string, options: SeedOptions): Promise<SampleCatalog> {
  const { products = standardProducts, seed = standardSeed, output, errorOutput = output, signal } = options;
  // The few flawed files on top take no time worth showing.
  const pictures = planCatalog(products, seed);
  const names = new Set(pictures.map(({ filename }) => filename));
  const progress = startProgress('Drawing', pictures.length, errorOutput);
  const onFile = (filename: string) => (names.has(filename) ? progress.advance() : undefined);
  try {
    return await generateSampleCatalog({ directory, products, seed, signal, onFile });
  } finally {
    progress.stop();
  }
}

function isExpectedRefusal(file: string, catalog: SampleCatalog): boolean {
  return basename(file) === catalog.broken;
}

function seedExitCode(summary: ImportSummary, catalog: SampleCatalog): number {
  const unexpected = summary.refused.filter(({ file }) => !isExpectedRefusal(file, catalog));
  const wasBrokenRefused = summary.refused.length - unexpected.length === 1;
  if (!wasBrokenRefused) return importExitCode(summary) || 1;
  return importExitCode({ ...summary, refused: unexpected });
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
      `Exact copies in the catalog: ${catalog.exactDuplicates.length}; re-exported near-duplicates: ${catalog.nearDuplicates.length}.`,
      exitCode === 0
        ? `That ${catalog.broken} is refused is intended: it is a JPEG file cut in the middle.`
        : `Only ${catalog.broken} should have been refused, and nothing else.`,
    );
  }
  if (keepDirectory !== undefined) lines.push(`The files are in ${keepDirectory}.`);
  return `${lines.join('\n')}\n`;
}
