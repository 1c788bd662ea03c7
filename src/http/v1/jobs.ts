import { z } from 'zod';
import { jobKinds, jobStates } from '../../model/job.ts';
import type { Principal } from '../../model/principal.ts';
import type { ImageRef } from '../../model/image.ts';
import { imageRefField, tenantField, wholeNumberField } from '../fields/fields.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import { responses, json } from '../openapi/responses.ts';
import { jsonBody } from '../openapi/bodies.ts';
import { pageFields, pageRecord, pageRequest, pageSchema } from '../fields/pages.ts';
import { principalOf } from '../principal.ts';
import type { Surface, SurfaceParts } from '../surface.ts';
import {
  failureClasses,
  jobRecord,
  jobSchema,
  jobWithHistoryRecord,
  jobWithHistorySchema,
} from './job-record.ts';

/** Default page size. */
const pageSize = 50;

const codeField = z
  .string()
  .regex(/^[a-z_]{1,64}$/, 'must be an error code, such as "source_unavailable"')
  .describe('Error code; `picture_damaged` matches its whole family.');
const listQuery = z.strictObject({
  state: z.enum(jobStates).optional(),
  kind: z.enum(jobKinds).optional(),
  tenant: tenantField.optional(),
  image: imageRefField.optional(),
  code: codeField.optional(),
  ...pageFields(pageSize),
});
const jobParams = z.object({ id: wholeNumberField(0, 999_999_999_999_999, 'Id of a job.') });
const filterBody = z
  .strictObject({
    code: codeField.optional(),
    failure_class: z.enum(failureClasses).optional(),
    tenant: tenantField.optional(),
  })
  .refine((filter) => Object.values(filter).some((value) => value !== undefined), {
    error: 'must have at least one of "code", "failure_class" and "tenant"',
  })
  .meta({ minProperties: 1 });
const retriedSchema = z.object({ retried: z.int() });

/** Routes of jobs, for operators. */
export const jobRoutes: Surface = (app, { services }) => {
  const tags = ['Jobs'];

  app.get(
    '/jobs',
    {
      schema: {
        tags,
        summary: 'List jobs, newest first',
        description:
          'A job processes one image: `derive` creates its renditions, `import` downloads its original first. Filters are combined with AND.',
        querystring: listQuery,
        response: responses(
          { 200: json(pageSchema(jobSchema), 'One page.') },
          'invalid_request',
          'image_not_found',
        ),
      },
    },
    async (request) => {
      const { state, kind, tenant, image, code } = request.query;
      const principal = principalOf(request);
      const page = pageRequest(request.query, pageSize);
      const imageId = image && (await imageIdOf(services, principal, image));
      const result = await services.jobs.list(principal, { state, kind, tenant, imageId, code }, page);
      return pageRecord(result, page, jobRecord);
    },
  );

  app.get(
    '/jobs/:id',
    {
      schema: {
        tags,
        summary: 'Get a job with its failed attempts',
        description: 'Each failed attempt has its time, stage and reason.',
        params: jobParams,
        response: responses(
          { 200: json(jobWithHistorySchema, 'The job.') },
          'invalid_request',
          'job_not_found',
        ),
      },
    },
    async (request) => {
      return jobWithHistoryRecord(await services.jobs.find(principalOf(request), request.params.id));
    },
  );

  app.post(
    '/jobs/:id/retry',
    {
      schema: {
        tags,
        summary: 'Retry a failed job',
        description:
          'Resets the retry budgets of the job and sets its image to `pending`. Only failed jobs can be retried.',
        params: jobParams,
        response: responses(
          { 200: json(jobWithHistorySchema, 'The job.') },
          'invalid_request',
          'job_not_found',
          'job_not_failed',
        ),
      },
    },
    async (request) =>
      jobWithHistoryRecord(await services.jobs.retry(principalOf(request), request.params.id)),
  );

  app.post(
    '/jobs/retry',
    {
      schema: {
        tags,
        summary: 'Retry all failed jobs that match a filter',
        description: 'Fields are combined with AND; at least one is required.',
        bodies: jsonBody(filterBody),
        response: responses(
          { 200: json(retriedSchema, 'The number of retried jobs.') },
          'invalid_request',
          'unsupported_body',
        ),
      },
    },
    async (request) => {
      const { code, failure_class: failureClass, tenant } = readJsonBody(request, filterBody);
      return { retried: await services.jobs.retryAll(principalOf(request), { code, failureClass, tenant }) };
    },
  );
};

/** Job queries need the id of the image. */
async function imageIdOf(
  services: SurfaceParts['services'],
  principal: Principal,
  image: ImageRef,
): Promise<number> {
  return 'id' in image ? image.id : (await services.retrieve.find(principal, image)).id;
}
