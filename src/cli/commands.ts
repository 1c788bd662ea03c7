import type { Config } from '../config.ts';
import { roleNames } from '../model/access.ts';
import {
  type Command,
  concurrencyOption,
  type OptionValues,
  readNumber,
  readText,
  tenantOption,
  UsageError,
  urlOption,
} from './options.ts';
import { auditFailureCode, manageKeys, readAuditLog } from './access-commands.ts';
import { reindexCommand, rerenderCommand } from './rerender/rerender-arguments.ts';
import { connectToServer } from './server-connection.ts';
import { abortOnInterrupt } from './stop-signals.ts';

/** All commands of `vitrine`, in the order of the help text. */
export const commands: Readonly<Record<string, Command>> = {
  serve: {
    usage: '',
    description: 'Serve the API, with a worker in the same process.',
    options: {},
    run: async (config) => (await import('./serve.ts')).serve(config),
  },
  worker: {
    usage: ' [options]',
    description:
      'Run a worker without the API. Any number of workers can share a PostgreSQL server; the embedded database allows only one process.',
    options: {
      concurrency: {
        type: 'string',
        description: 'Number of concurrent jobs, 1 to 256; default: WORKER_CONCURRENCY.',
      },
    },
    run: async (config, values) => {
      const concurrency = readNumber(values, 'concurrency', config.worker.concurrency, 256);
      const { runWorker } = await import('./worker.ts');
      return runWorker({ ...config, worker: { ...config.worker, concurrency } });
    },
  },
  migrate: {
    usage: '',
    description: 'Migrate the database to the latest schema. A server does this at startup.',
    options: {},
    run: async (config) => (await import('./migrate.ts')).migrateDatabase(config, process.stdout),
  },
  doctor: {
    usage: '',
    description: 'Check versions, database, storage and disk, and suggest fixes.',
    options: {},
    run: async (config) => (await import('./doctor/doctor.ts')).diagnose(config, process.stdout),
  },
  import: {
    usage: ' <files, folders> [options]',
    description: 'Import images from this machine. Safe to repeat.',
    acceptsInputs: true,
    options: {
      url: urlOption,
      tenant: tenantOption,
      concurrency: concurrencyOption,
      queued: { type: 'boolean', description: 'Upload all files first, then wait until they are processed.' },
      json: { type: 'boolean', description: 'Print the summary as JSON.' },
    },
    run: importPictures,
  },
  purge: {
    usage: ' [options]',
    description:
      'Permanently remove deleted or unused images and their files. Without --confirm, only report what would be removed.',
    options: {
      url: urlOption,
      tenant: { type: 'string', description: 'Purge only images of this tenant; default: all.' },
      unused: { type: 'boolean', description: 'Purge images without references instead of deleted images.' },
      days: {
        type: 'string',
        description:
          'Minimum number of days since deletion (with --unused: since creation); default: PURGE_DAYS (with --unused: 0).',
      },
      confirm: { type: 'boolean', description: 'Actually remove the images.' },
      token: {
        type: 'string',
        description: 'PURGE_CONFIRM_TOKEN of the server; default: the value set on this machine.',
      },
      json: { type: 'boolean', description: 'Print the report as JSON.' },
    },
    run: purgeImages,
  },
  rerender: rerenderCommand,
  reindex: reindexCommand,
  keys: {
    usage: ' <action> [options]',
    description: 'Manage API keys. The actions are create, list, rotate <id> and revoke <id>.',
    acceptsInputs: true,
    options: {
      url: urlOption,
      name: { type: 'string', description: 'With create: what the key is for.' },
      role: { type: 'string', description: `With create: ${roleNames.join(', ')}.` },
      tenant: {
        type: 'string',
        description: 'With create: the only tenant that the key can access; default: all.',
      },
      scope: { type: 'string', isRepeatable: true, description: 'With create: a scope; can be repeated.' },
      expires: {
        type: 'string',
        description:
          'With create: time until the key expires, such as 12h, 90d or 1y; default: never, or with the key that creates it.',
      },
      overlap: {
        type: 'string',
        description: 'With rotate: how long the old key keeps working; default: 1d.',
      },
      descendants: {
        type: 'boolean',
        description: 'With revoke: also revoke all keys that were created or rotated from it.',
      },
      json: { type: 'boolean', description: 'Print the result as JSON.' },
    },
    run: manageKeys,
  },
  audit: {
    usage: ' <action> [options]',
    description:
      'Verify the audit log or export it as NDJSON. The actions are verify and export. The exit code is 1 if the log is damaged, and 2 if it could not be verified or exported.',
    acceptsInputs: true,
    failureCode: auditFailureCode,
    options: {
      url: urlOption,
      tenant: { type: 'string', description: 'Only the log of this tenant; default: all.' },
      since: { type: 'string', description: 'With export: date or time of the first entry; default: all.' },
      until: { type: 'string', description: 'With export: date or time after the last entry; default: all.' },
      action: { type: 'string', description: 'With export: only this action, such as key.create.' },
      actor: {
        type: 'string',
        description: 'With export: only this actor: the id of a key, or a name such as open or system.',
      },
      out: { type: 'string', description: 'With export: file to write; default: standard output.' },
      force: { type: 'boolean', description: 'With --out: overwrite the file if it exists.' },
      json: { type: 'boolean', description: 'With verify: print the result as JSON.' },
    },
    run: readAuditLog,
  },
  seed: {
    usage: ' [options]',
    description:
      'Generate and import a sample catalog, including duplicates, near-duplicates and a corrupt file.',
    options: {
      url: urlOption,
      tenant: tenantOption,
      concurrency: concurrencyOption,
      products: { type: 'string', description: 'Number of products, 1 to 500; default: 12.' },
      seed: {
        type: 'string',
        description: 'Random seed, which determines the catalog; default: 1.',
      },
      keep: { type: 'string', description: 'Folder in which to keep the generated files.' },
    },
    run: seedSampleCatalog,
  },
};

async function importPictures(
  config: Config,
  values: OptionValues,
  inputs: readonly string[],
): Promise<number> {
  if (inputs.length === 0) throw new UsageError('Specify the files or folders to import.');
  const { runImportCommand } = await import('./import/import-command.ts');
  return withServer(config, values, (sharedOptions) =>
    runImportCommand({
      ...sharedOptions,
      inputs: [...inputs],
      mode: values['queued'] ? 'queued' : 'inline',
      json: values['json'] === true,
    }),
  );
}

async function seedSampleCatalog(config: Config, values: OptionValues): Promise<number> {
  const productCount = readNumber(values, 'products', 12, 500);
  const { runSeedCommand } = await import('./seed/seed-command.ts');
  return withServer(config, values, (sharedOptions) =>
    runSeedCommand({
      ...sharedOptions,
      productCount,
      seed: readText(values, 'seed') ?? '1',
      keepDirectory: readText(values, 'keep'),
    }),
  );
}

async function purgeImages(config: Config, values: OptionValues): Promise<number> {
  const { runPurgeCommand } = await import('./purge/purge-command.ts');
  const purgesUnused = values['unused'] === true;
  const token = readText(values, 'token');
  if (token !== undefined && /\p{Cc}/u.test(token))
    throw new UsageError('--token contains control characters, which are not allowed in an HTTP header.');
  const connection = await connectToServer(config, readText(values, 'url'), process.stderr);
  try {
    return await runPurgeCommand({
      client: connection.client,
      scope: purgesUnused ? 'unused' : 'deleted',
      tenant: readText(values, 'tenant'),
      days: readNumber(values, 'days', purgesUnused ? 0 : config.purge.days, 36_500, 0),
      confirm: values['confirm'] === true,
      token: token ?? connection.confirmToken,
      json: values['json'] === true,
      signal: abortOnInterrupt(),
      output: process.stdout,
      errorOutput: process.stderr,
    });
  } finally {
    await connection.close();
  }
}

/** Connects to a server, runs `work` with the options that import and seed share, and then disconnects. */
async function withServer<T>(
  config: Config,
  values: OptionValues,
  work: (sharedOptions: SharedOptions) => Promise<T>,
): Promise<T> {
  const sharedOptions = {
    tenant: readText(values, 'tenant'),
    concurrency: readNumber(values, 'concurrency', 4, 64),
    signal: abortOnInterrupt(),
    output: process.stdout,
    errorOutput: process.stderr,
  };
  const connection = await connectToServer(config, readText(values, 'url'), process.stderr);
  try {
    return await work({ ...sharedOptions, client: connection.client });
  } finally {
    await connection.close();
  }
}

type Connection = Awaited<ReturnType<typeof connectToServer>>;
interface SharedOptions {
  readonly client: Connection['client'];
  readonly tenant: string | undefined;
  readonly concurrency: number;
  readonly signal: AbortSignal;
  readonly output: NodeJS.WriteStream;
  readonly errorOutput: NodeJS.WriteStream;
}
