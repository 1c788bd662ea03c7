import { z } from 'zod';
import { formatBytes, formatDuration } from '../terminal.ts';

const renderingFields = z.object({
  id: z.int(),
  kind: z.string(),
  presets: z.array(z.string()),
  tenant: z.string().nullable(),
  state: z.string(),
  total: z.int(),
  done: z.int(),
  skipped: z.int(),
  failed: z.int(),
  done_per_minute: z.number(),
  remaining_seconds: z.number().nullable(),
});

/** Schema of a re-rendering, as the server returns it in a list. */
export const renderingSchema = renderingFields;

/** Schema of a re-rendering with the images that failed. */
export const renderingReportSchema = renderingFields.extend({
  failures: z.array(
    z.object({
      job_id: z.int(),
      image_id: z.int().nullable(),
      code: z.string().nullable(),
      error: z.string().nullable(),
    }),
  ),
});

const estimateSchema = z.object({
  images: z.int(),
  files: z.array(
    z.object({ preset: z.string(), format: z.string(), files: z.int(), bytes: z.number().nullable() }),
  ),
  bytes: z.number().nullable(),
  work_seconds: z.number().nullable(),
});

/** Schema of the response to the start of a re-rendering. */
export const renderingStartSchema = z.object({
  estimate: estimateSchema,
  rendering: renderingFields.nullable(),
});

/** Schema of the response to the start of a reindexing. */
export const reindexingStartSchema = z.object({ images: z.int(), reindexing: renderingFields.nullable() });

/** A re-rendering, or a reindexing. */
export type Rendering = z.infer<typeof renderingFields>;

/** A re-rendering with the images that failed. */
export type RenderingReport = z.infer<typeof renderingReportSchema>;

/** Number of images whose processing has ended. */
export function countProcessed({ done, skipped, failed }: Rendering): number {
  return done + skipped + failed;
}

/** Describes what a re-rendering will do. */
export function describeEstimate({
  images,
  files,
  bytes,
  work_seconds: workSeconds,
}: z.infer<typeof estimateSchema>): string {
  if (images === 0) return 'All renditions are up to date.\n';
  const rows = files.map(
    (file) =>
      `  ${file.preset} ${file.format}: ${file.files} ${file.files === 1 ? 'file' : 'files'}, ${file.bytes === null ? 'size unknown' : describeBytes(file.bytes)}\n`,
  );
  const size =
    bytes === null
      ? 'unknown, because a preset has no files in one of these formats yet'
      : describeBytes(bytes);
  const time =
    workSeconds === null
      ? 'unknown, because there are no recent jobs'
      : `${formatDuration(workSeconds)}, divided by the number of concurrent jobs`;
  return `Images with outdated or missing renditions: ${images}\n${rows.join('')}Size: ${size}\nTime: ${time}\n`;
}

function describeBytes(bytes: number): string {
  return `about ${formatBytes(bytes)}`;
}

/** Describes the state of a re-rendering and the images that failed. */
export function describeRendering(rendering: RenderingReport): string {
  const { failures, failed } = rendering;
  const lines = failures.map(
    ({ image_id: imageId, job_id: jobId, error, code }) =>
      `  ${imageId === null ? `job ${jobId}` : `image ${imageId}`}: ${error ?? code ?? 'unknown reason'}\n`,
  );
  const omitted = failed - failures.length;
  const rest = omitted > 0 ? `  and ${omitted} more\n` : '';
  return `${summarizeRendering(rendering)}${failed > 0 ? `Failed:\n${lines.join('')}${rest}` : ''}`;
}

/** Describes the state of a re-rendering on one line. */
export function summarizeRendering(rendering: Rendering): string {
  const { id, state, total, done, skipped, failed } = rendering;
  const remaining = rendering.remaining_seconds;
  const time = state === 'running' && remaining !== null ? `, ${formatDuration(remaining)} left` : '';
  return `${nameOf(rendering)} ${id}${describeScope(rendering)} is ${state}: ${done} of ${total} images done, ${skipped} skipped, ${failed} failed${time}.\n`;
}

/** Returns what a campaign is called. */
export function nameOf({ kind }: Pick<Rendering, 'kind'>): string {
  return kind === 'reindexing' ? 'Reindexing' : 'Re-rendering';
}

function describeScope({ presets, tenant }: Rendering): string {
  if (presets.length === 0) return tenant === null ? '' : ` of ${tenant}`;
  return ` (${presets.join(', ')}${tenant === null ? '' : ` of ${tenant}`})`;
}

/** Describes what a reindexing will do. */
export function describeOutdated(images: number): string {
  return images === 0
    ? 'All fingerprints and embeddings are up to date.\n'
    : `Images with outdated fingerprints or embeddings: ${images}\n`;
}
