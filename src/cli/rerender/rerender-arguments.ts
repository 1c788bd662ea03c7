import type { Config } from '../../config.ts';
import { type Command, type OptionValues, readText, urlOption } from '../options.ts';
import { connectToServer } from '../server-connection.ts';
import type { RerenderAction } from './rerender-command.ts';
import { abortOnInterrupt } from '../stop-signals.ts';

const tenantScopeOption = {
  type: 'string',
  description:
    'Only images of this tenant. Default: the tenant of the API key, or all tenants if it has none.',
} as const;

/** The command `vitrine rerender`. */
export const rerenderCommand: Command = {
  usage: ' [<action> <id>] [options]',
  description:
    'Make outdated and missing renditions, after PRESETS or Vitrine has changed. Without an action, start and show the progress. The actions are list, watch, pause, resume and cancel.',
  acceptsInputs: true,
  options: {
    url: urlOption,
    preset: {
      type: 'string',
      isRepeatable: true,
      description: 'Name of a preset. Can be repeated.',
    },
    tenant: tenantScopeOption,
    'dry-run': {
      type: 'boolean',
      description: 'Only estimate the number of files, their size and the time; make nothing.',
    },
    json: { type: 'boolean', description: 'Print the result as JSON.' },
  },
  run: rerender,
};

/** The command `vitrine reindex`. */
export const reindexCommand: Command = {
  usage: ' [<action> <id>] [options]',
  description:
    'Compute outdated fingerprints and embeddings again, after an update of Vitrine. A server also starts this by itself. Without an action, start and show the progress. The actions are list, watch, pause, resume and cancel.',
  acceptsInputs: true,
  options: {
    url: urlOption,
    tenant: tenantScopeOption,
    'dry-run': { type: 'boolean', description: 'Only count the images; compute nothing.' },
    json: { type: 'boolean', description: 'Print the result as JSON.' },
  },
  run: async (config, values, inputs) => {
    const { parseReindexAction } = await import('./rerender-command.ts');
    const action = parseReindexAction(inputs, {
      tenant: readText(values, 'tenant'),
      isDryRun: values['dry-run'] === true,
    });
    return runAction(config, values, action);
  },
};

async function rerender(config: Config, values: OptionValues, inputs: readonly string[]): Promise<number> {
  const { parseRerenderAction } = await import('./rerender-command.ts');
  const action = parseRerenderAction(inputs, {
    presets: [values['preset'] ?? []].flat().map(String),
    tenant: readText(values, 'tenant'),
    isDryRun: values['dry-run'] === true,
  });
  return runAction(config, values, action);
}

async function runAction(config: Config, values: OptionValues, action: RerenderAction): Promise<number> {
  const { runRerenderCommand } = await import('./rerender-command.ts');
  const connection = await connectToServer(config, readText(values, 'url'), process.stderr);
  try {
    return await runRerenderCommand({
      client: connection.client,
      action,
      json: values['json'] === true,
      signal: abortOnInterrupt(),
      output: process.stdout,
      errorOutput: process.stderr,
    });
  } finally {
    await connection.close();
  }
}
