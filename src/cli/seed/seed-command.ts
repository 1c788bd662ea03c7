import { type ApiClient, ServerFailure } from '../api-client.ts';
import type { Output } from '../output.ts';
import { describeNoServer } from '../import/import-command.ts';
import { seedCatalog, type SeedOptions } from './seed-catalog.ts';

/** Options of the command `seed`. */
export interface SeedCommandOptions extends Omit<SeedOptions, 'client' | 'errorOutput'> {
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
