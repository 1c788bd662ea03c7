import { type ApiClient, ServerFailure } from '../api-client.ts';
import type { Output } from '../terminal.ts';
import { importFiles, type ImportOptions } from './import-files.ts';
import { describeImport, importExitCode, type ImportSummary } from './import-summary.ts';

/** Options of the command `import`. */
export interface ImportCommandOptions extends Omit<ImportOptions, 'output' | 'client'> {
  readonly client: ApiClient;
  /** Takes the summary. */
  readonly output: Output;
  /** Takes progress and errors, so that `output` stays clean for other programs. */
  readonly errorOutput: Output;
  /** Print the summary as JSON. */
  readonly json?: boolean;
}

/** Runs `vitrine import`: uploads, prints the summary, answers the exit code. */
export async function runImportCommand(options: ImportCommandOptions): Promise<number> {
  try {
    const summary = await importFiles({ ...options, output: options.errorOutput });
    options.output.write(options.json ? summaryAsJson(summary) : describeImport(summary));
    return importExitCode(summary);
  } catch (error) {
    if (options.signal?.aborted) return 130;
    if (!(error instanceof ServerFailure)) throw error;
    options.errorOutput.write(`${describeNoServer(error, options.client.baseUrl)}\n`);
    return 1;
  }
}

/** What to do when there is no server at the address. */
export function describeNoServer(error: ServerFailure, baseUrl: string): string {
  return `${error.message}\nStart one with "vitrine serve", or name another with --url (now ${baseUrl}).`;
}

function summaryAsJson(summary: ImportSummary): string {
  return `${JSON.stringify(summary, null, 2)}\n`;
}
