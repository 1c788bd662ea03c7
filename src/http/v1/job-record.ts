import { z } from 'zod';
import { errorFamily } from '../../errors.ts';
import { type JobReport, jobKinds, jobStates } from '../../model/job.ts';
import { jobExample, jobWithHistoryExample } from './examples.ts';

/** Failure classes, as they appear in the API. */
export const failureClasses = ['permanent', 'transient', 'crash', 'lease-lost'] as const;

/** Schema of a job in a list. */
export const jobSchema = z
  .object({
    id: z.int(),
    kind: z.enum(jobKinds),
    state: z.enum(jobStates),
    image_id: z.int().nullable().describe('`null` if the image was purged.'),
    tenant: z.string(),
    content_hash: z.string().nullable(),
    priority: z.int().describe('Jobs with lower values run first.'),
    retries: z.int(),
    crashes: z.int(),
    lease_losses: z.int(),
    failure_class: z.enum(failureClasses).nullable(),
    failure_stage: z.string().nullable(),
    code: z.string().nullable().describe('Code of the last error.'),
    family: z
      .string()
      .nullable()
      .describe('`picture_damaged` if the image cannot be decoded; otherwise `null`.'),
    error: z.string().nullable(),
    created_at: z.iso.datetime(),
    run_at: z.iso.datetime().describe('When a pending job is due.'),
    started_at: z.iso.datetime().nullable(),
    finished_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Job', examples: [jobExample] });

/** Schema of a job with its history. */
export const jobWithHistorySchema = jobSchema
  .extend({
    history: z
      .array(
        z.object({
          at: z.string(),
          failure_class: z.enum(failureClasses),
          stage: z.string(),
          code: z.string(),
          family: z.string().nullable(),
          error: z.string(),
        }),
      )
      .describe('Failed attempts, oldest first.'),
  })
  .meta({ id: 'JobWithHistory', examples: [jobWithHistoryExample] });

/** Converts a job to JSON, without its history. */
export function toJobRecord(job: JobReport): z.input<typeof jobSchema> {
  return {
    id: job.id,
    kind: job.kind,
    state: job.state,
    image_id: job.imageId,
    tenant: job.tenant,
    content_hash: job.contentHash,
    priority: job.priority,
    retries: job.retries,
    crashes: job.crashes,
    lease_losses: job.leaseLosses,
    failure_class: job.failureClass,
    failure_stage: job.failureStage,
    code: job.errorCode,
    family: errorFamily(job.errorCode),
    error: job.error,
    created_at: job.createdAt.toISOString(),
    run_at: job.runAt.toISOString(),
    started_at: job.startedAt?.toISOString() ?? null,
    finished_at: job.finishedAt?.toISOString() ?? null,
  };
}

/** Converts a job to JSON, with its history. */
export function toJobWithHistoryRecord(job: JobReport): z.input<typeof jobWithHistorySchema> {
  const history = job.history.map(({ at, failureClass, stage, code, error }) => ({
    at,
    failure_class: failureClass,
    stage,
    code,
    family: errorFamily(code),
    error,
  }));
  return { ...toJobRecord(job), history };
}
