import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { ApiClient } from '../api-client.ts';
import { UsageError } from '../options.ts';
import { reportRequestErrors } from '../request-errors.ts';
import { type Output, startProgress } from '../terminal.ts';
import {
  countProcessed,
  describeEstimate,
  describeOutdated,
  describeRendering,
  nameOf,
  reindexingStartSchema,
  renderingReportSchema,
  type RenderingReport,
  renderingSchema,
  renderingStartSchema,
  summarizeRendering,
} from './rendering-reports.ts';

/** What `vitrine rerender` is asked to do. */
export type RerenderAction =
  | {
      readonly kind: 'start';
      readonly presets: readonly string[];
      readonly tenant: string | undefined;
      readonly isDryRun: boolean;
    }
  | { readonly kind: 'reindex'; readonly tenant: string | undefined; readonly isDryRun: boolean }
  | { readonly kind: 'list' }
  | { readonly kind: 'watch' | 'pause' | 'resume' | 'cancel'; readonly id: string };

/** Options of `vitrine rerender`. */
export interface RerenderCommandOptions {
  readonly client: ApiClient;
  readonly action: RerenderAction;
  readonly json: boolean;
  readonly signal: AbortSignal;
  /** Receives the report. */
  readonly output: Output;
  /** Receives progress and errors. */
  readonly errorOutput: Output;
  /** Interval between two requests for the progress, in milliseconds. */
  readonly pollMs?: number;
}

const defaultPollMs = 1_000;

const actionsWithId = ['watch', 'pause', 'resume', 'cancel'] as const;

/** Parses the arguments of `vitrine rerender`. @throws {UsageError} */
export function parseRerenderAction(
  inputs: readonly string[],
  { presets, tenant, isDryRun }: Omit<Extract<RerenderAction, { kind: 'start' }>, 'kind'>,
): RerenderAction {
  const [name] = inputs;
  if (name !== undefined && (presets.length > 0 || tenant !== undefined || isDryRun))
    throw new UsageError(`--preset, --tenant and --dry-run cannot be combined with ${name}.`);
  const control = parseControl(inputs, '--preset');
  if (control) return control;
  if (presets.length === 0) throw new UsageError('Specify at least one --preset.');
  return { kind: 'start', presets, tenant, isDryRun };
}

/** Parses the arguments of `vitrine reindex`. @throws {UsageError} */
export function parseReindexAction(
  inputs: readonly string[],
  { tenant, isDryRun }: Omit<Extract<RerenderAction, { kind: 'reindex' }>, 'kind'>,
): RerenderAction {
  const [name] = inputs;
  if (name !== undefined && (tenant !== undefined || isDryRun))
    throw new UsageError(`--tenant and --dry-run cannot be combined with ${name}.`);
  return parseControl(inputs, 'no action') ?? { kind: 'reindex', tenant, isDryRun };
}

/** Parses an action on an existing campaign. Returns `undefined` without arguments. @throws {UsageError} */
function parseControl(inputs: readonly string[], alternative: string): RerenderAction | undefined {
  const [name, id, ...rest] = inputs;
  if (rest.length > 0) throw new UsageError(`Unexpected argument "${rest[0]}".`);
  if (name === undefined) return undefined;
  if (name === 'list' && id === undefined) return { kind: 'list' };
  const kind = actionsWithId.find((action) => action === name);
  if (!kind)
    throw new UsageError(
      `Specify ${alternative}, or one of: list, watch <id>, pause <id>, resume <id>, cancel <id>.`,
    );
  if (!/^\d{1,15}$/.test(id ?? ''))
    throw new UsageError(`${kind} needs the id of a re-rendering; \`vitrine rerender list\` shows the ids.`);
  return { kind, id: id ?? '' };
}

/** Runs `vitrine rerender` and returns the exit code: 1 if images failed or the re-rendering was cancelled. */
export async function runRerenderCommand(options: RerenderCommandOptions): Promise<number> {
  const { client, action, output, signal, errorOutput } = options;
  return reportRequestErrors(errorOutput, async () => {
    if (action.kind === 'start') return start(options, action);
    if (action.kind === 'reindex') return reindex(options, action);
    if (action.kind === 'list') return list(options);
    if (action.kind === 'watch') return watch(options, action.id);
    const path = `/v1/renderings/${action.id}/${action.kind}`;
    const rendering = await client.postJson(path, {}, renderingReportSchema, signal);
    output.write(options.json ? toJson(rendering) : describeRendering(rendering));
    return 0;
  });
}

async function start(
  options: RerenderCommandOptions,
  { presets, tenant, isDryRun }: Extract<RerenderAction, { kind: 'start' }>,
): Promise<number> {
  const { client, json, output, errorOutput } = options;
  const body = { presets, tenant, dry_run: isDryRun };
  // Without the signal, because an interrupted request may have started a re-rendering whose id would be unknown.
  const { estimate, rendering } = await client.postJson('/v1/renderings', body, renderingStartSchema);
  if (!rendering) {
    output.write(json ? toJson(estimate) : describeEstimate(estimate));
    return 0;
  }
  errorOutput.write(describeEstimate(estimate));
  return watch(options, String(rendering.id));
}

async function reindex(
  options: RerenderCommandOptions,
  { tenant, isDryRun }: Extract<RerenderAction, { kind: 'reindex' }>,
): Promise<number> {
  const { client, json, output, errorOutput } = options;
  const body = { tenant, dry_run: isDryRun };
  // Without the signal, as for a re-rendering.
  const { images, reindexing } = await client.postJson('/v1/reindexings', body, reindexingStartSchema);
  if (!reindexing) {
    output.write(json ? toJson({ images }) : describeOutdated(images));
    return 0;
  }
  errorOutput.write(describeOutdated(images));
  return watch(options, String(reindexing.id));
}

async function list({ client, json, output }: RerenderCommandOptions): Promise<number> {
  const { items } = await client.getJson('/v1/renderings', z.object({ items: z.array(renderingSchema) }));
  if (json) output.write(toJson(items));
  else output.write(items.map(summarizeRendering).join('') || 'There are no re-renderings.\n');
  return 0;
}

/** Shows the progress until the re-rendering ends. An interrupt stops the display, not the re-rendering. */
async function watch(options: RerenderCommandOptions, id: string): Promise<number> {
  const { client, json, signal, output, errorOutput, pollMs = defaultPollMs } = options;
  const find = () => client.getJson(`/v1/renderings/${id}`, renderingReportSchema);
  let rendering = await find();
  let shown = countProcessed(rendering);
  const progress = startProgress('Rendering', rendering.total, errorOutput, shown);
  const show = () => {
    for (; shown < Math.min(countProcessed(rendering), rendering.total); shown++) progress.advance();
  };
  try {
    while (rendering.state === 'running' && (await pause(pollMs, signal))) {
      rendering = await find();
      show();
    }
  } finally {
    progress.stop();
  }
  output.write(json ? toJson(rendering) : describeRendering(rendering));
  if (!signal.aborted) return chooseExitCode(rendering);
  const command = rendering.kind === 'reindexing' ? 'reindex' : 'rerender';
  errorOutput.write(
    `${nameOf(rendering)} ${id} continues while a server or worker is running. Watch it with "vitrine ${command} watch ${id}", or cancel it with "vitrine ${command} cancel ${id}".\n`,
  );
  return 130;
}

function chooseExitCode({ failed, state }: RenderingReport): number {
  return failed > 0 || state === 'cancelled' ? 1 : 0;
}

/** Waits for `milliseconds`. Returns false if `signal` aborts. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
  return !signal.aborted;
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
