import type { Config } from '../config.ts';
import { defaultTenant } from '../model/tenant.ts';
import { connectToServer } from './server-connection.ts';
import { abortOnInterrupt } from './stop-signals.ts';

/** The words after a command were not understood. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

interface Option {
  readonly type: 'string' | 'boolean';
  readonly about: string;
}

type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** One command of `vitrine`. */
export interface Command {
  /** What follows the command's name. */
  readonly usage: string;
  readonly about: string;
  readonly options: Readonly<Record<string, Option>>;
  /** Takes words that are no options. */
  readonly takesInputs?: boolean;
  /** Answers the exit code, 0 when it answers none. Loads what it needs when it is called: others do not need it. */
  run(config: Config, values: Values, inputs: readonly string[]): Promise<number | void>;
}

const url: Option = {
  type: 'string',
  about: 'Address of a server elsewhere; default: the one that holds DATA_DIR.',
};
const tenant: Option = { type: 'string', about: `Tenant of the pictures; default: ${defaultTenant}.` };
const concurrency: Option = { type: 'string', about: 'Uploads at once, 1 to 64; default: 4.' };

/** Every command of `vitrine`, in the order of its help. */
export const commands: Readonly<Record<string, Command>> = {
  serve: {
    usage: '',
    about: 'Serve the API, with a worker in the same process.',
    options: {},
    run: async (config) => (await import('./serve.ts')).serve(config),
  },
  worker: {
    usage: ' [options]',
    about:
      'Take jobs only. Any number of workers share a PostgreSQL server; the embedded database serves one process.',
    options: {
      concurrency: { type: 'string', about: 'Pictures at once, 1 to 256; default: WORKER_CONCURRENCY.' },
    },
    run: async (config, values) => {
      const concurrency = readNumber(values, 'concurrency', config.worker.concurrency, 256);
      const { work } = await import('./worker.ts');
      return work({ ...config, worker: { ...config.worker, concurrency } });
    },
  },
  migrate: {
    usage: '',
    about: 'Bring the database to the newest schema; a server does so when it starts.',
    options: {},
    run: async (config) => (await import('./migrate.ts')).migrateDatabase(config, process.stdout),
  },
  doctor: {
    usage: '',
    about: 'Check versions, database, storage and disk, and say what to do.',
    options: {},
    run: async (config) => (await import('./doctor/doctor.ts')).diagnose(config, process.stdout),
  },
  import: {
    usage: ' <files, folders> [options]',
    about: 'Import pictures from this machine; safe to repeat.',
    takesInputs: true,
    options: {
      url,
      tenant,
      concurrency,
      queued: { type: 'boolean', about: 'Send all first, then wait until they are finished.' },
      json: { type: 'boolean', about: 'Print the summary as JSON.' },
    },
    run: importPictures,
  },
  purge: {
    usage: ' [options]',
    about:
      'Remove deleted or unused images with their files; only tells what it would do unless --confirm is given.',
    options: {
      url,
      tenant: { type: 'string', about: "With --unused: one tenant's images only." },
      unused: { type: 'boolean', about: 'Images without a reference, in place of deleted ones.' },
      days: {
        type: 'string',
        about:
          'Images deleted (with --unused: created) at least this many days ago; default: PURGE_DAYS (with --unused: 0).',
      },
      confirm: { type: 'boolean', about: 'Really remove them.' },
      token: {
        type: 'string',
        about: 'The PURGE_CONFIRM_TOKEN of the server; default: the one set here.',
      },
      json: { type: 'boolean', about: 'Print the report as JSON.' },
    },
    run: purgeImages,
  },
  seed: {
    usage: ' [options]',
    about: 'Draw a sample catalog and import it: duplicates, near-duplicates and a broken file among it.',
    options: {
      url,
      tenant,
      concurrency,
      products: { type: 'string', about: 'Products to draw, 1 to 500; default: 12.' },
      seed: { type: 'string', about: 'Another seed gives another catalog; default: 1.' },
      keep: { type: 'string', about: 'Keep the drawn files in this folder.' },
    },
    run: seedSampleCatalog,
  },
};

async function importPictures(config: Config, values: Values, inputs: readonly string[]): Promise<number> {
  if (inputs.length === 0) throw new UsageError('Name the files or folders to import.');
  const { runImportCommand } = await import('./import/import-command.ts');
  return withServer(config, values, (common) =>
    runImportCommand({
      ...common,
      inputs: [...inputs],
      mode: values['queued'] ? 'queued' : 'inline',
      json: values['json'] === true,
    }),
  );
}

async function seedSampleCatalog(config: Config, values: Values): Promise<number> {
  const products = readNumber(values, 'products', 12, 500);
  const { runSeedCommand } = await import('./seed/seed-command.ts');
  return withServer(config, values, (common) =>
    runSeedCommand({
      ...common,
      products,
      seed: readText(values, 'seed') ?? '1',
      keepDirectory: readText(values, 'keep'),
    }),
  );
}

async function purgeImages(config: Config, values: Values): Promise<number> {
  const { runPurgeCommand } = await import('./purge/purge-command.ts');
  const unused = values['unused'] === true;
  if (!unused && values['tenant'] !== undefined)
    throw new UsageError('--tenant goes with --unused: deleted images of all tenants are purged together.');
  const token = readText(values, 'token');
  if (token !== undefined && /\p{Cc}/u.test(token))
    throw new UsageError('--token has control characters, which no header can carry.');
  const connection = await connectToServer(config, readText(values, 'url'), process.stderr);
  try {
    return await runPurgeCommand({
      client: connection.client,
      scope: unused ? 'unused' : 'deleted',
      tenant: readText(values, 'tenant'),
      days: readNumber(values, 'days', unused ? 0 : config.purge.days, 36_500, 0),
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

/** What both commands need: a server, a tenant, and an end by Ctrl-C. */
async function withServer<T>(
  config: Config,
  values: Values,
  work: (common: Common) => Promise<T>,
): Promise<T> {
  const common = {
    tenant: readText(values, 'tenant') ?? defaultTenant,
    concurrency: readNumber(values, 'concurrency', 4, 64),
    signal: abortOnInterrupt(),
    output: process.stdout,
    errorOutput: process.stderr,
  };
  const connection = await connectToServer(config, readText(values, 'url'), process.stderr);
  try {
    return await work({ ...common, client: connection.client });
  } finally {
    await connection.close();
  }
}

type Connection = Awaited<ReturnType<typeof connectToServer>>;
interface Common {
  readonly client: Connection['client'];
  readonly tenant: string;
  readonly concurrency: number;
  readonly signal: AbortSignal;
  readonly output: NodeJS.WriteStream;
  readonly errorOutput: NodeJS.WriteStream;
}

function readText(values: Values, option: string): string | undefined {
  const value = values[option];
  return typeof value === 'string' ? value : undefined;
}

function readNumber(values: Values, option: string, fallback: number, max: number, min = 1): number {
  const text = readText(values, option);
  const value = text === undefined ? fallback : Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new UsageError(`--${option} takes a whole number from ${min} to ${max}, not "${text}".`);
}
