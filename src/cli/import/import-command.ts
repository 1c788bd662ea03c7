import { type ApiClient, ServerFailure } from '../api-client.ts';
import type { Output } from '../terminal.ts';
import { importFiles, type ImportOptions } from './import-files.ts';
import { describeImport, importExitCode, type ImportSummary } from './import-summary.ts';

/** Options of `vitrine import`. */
export interface ImportCommandOptions extends Omit<ImportOptions, 'output' | 'client'> {
  readonly client: ApiClient;
  /** Receives the summary. */
  readonly output: Output;
  /** Receives progress and errors, so that `output` stays machine-readable. */
  readonly errorOutput: Output;
  /** Whether to print the summary as JSON. */
  readonly json?: boolean;
}

/** Runs `vitrine import`: uploads images, prints the summary and returns the exit code. */
export async function runImportCommand(options: ImportCommandOptions): Promise<number> {
  try {
    const summary = await importFiles({ ...options, output: options.errorOutput });
    options.output.write(options.json ? formatJson(summary) : describeImport(summary));
    return importExitCode(summary);
  } catch (error) {
    if (options.signal?.aborted) return 130;
    if (!(error instanceof ServerFailure)) throw error;
    options.errorOutput.write(`${describeServerFailure(error, options.client.baseUrl)}\n`);
    return 1;
  }
}

/** Describes a server failure and how to fix it. */
export function describeServerFailure(error: ServerFailure, baseUrl: string): string {
  return `${error.message}\nStart a server with "vitrine serve", or specify a different server with --url (currently ${baseUrl}).`;
}

function formatJson(summary: ImportSummary): string {
  return `${JSON.stringify(summary, null, 2)}\n`;
}
