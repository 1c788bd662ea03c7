import { z } from 'zod';
import { jobKinds, jobStates } from '../../model/job.ts';
import type { Principal } from '../../model/principal.ts';
import type { ImageRef } from '../../model/image.ts';
import { imageRefField, tenantField, wholeNumberField } from '../fields/fields.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import { responses, json } from '../openapi/responses.ts';
import { jsonBody } from '../openapi/bodies.ts';
import { pageFields, toPageRecord, toPageRequest, pageSchema } from '../fields/pages.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin, RouteDependencies } from '../route-plugin.ts';
import {
  failureClasses,
  toJobRecord,
  jobSchema,
  toJobWithHistoryRecord,
  jobWithHistorySchema,
} from './job-record.ts';

/** Default page size. */
const pageSize = 50;

const codeField = z
  .string()
  .regex(/^[a-z_]{1,64}$/, 'must be an error code, such as "source_unavailable"')
  .describe('Error code; `picture_damaged` matches all codes of that family.');
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
const retryResultSchema = z.object({ retried: z.int() });

/** Job routes, for operators. */
export const jobRoutes: RoutePlugin = (app, { services }) => {
  const tags = ['Jobs'];

  app.get(
    '/jobs',
    {
      config: { access: 'jobs.list' },
      schema: {
        tags,
        summary: 'List jobs, newest first',
        description:
          'A job processes one image. A `derive` job creates its renditions; an `import` job downloads its original first. Filters are combined with AND.',
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
      const principal = getPrincipal(request);
      const page = toPageRequest(request.query, pageSize);
      const imageId = image && (await resolveImageId(services, principal, image));
      const result = await services.jobs.list(principal, { state, kind, tenant, imageId, code }, page);
      return toPageRecord(result, page, toJobRecord);
    },
  );

  app.get(
    '/jobs/:id',
    {
      config: { access: 'jobs.find' },
      schema: {
        tags,
        summary: 'Get a job with its failed attempts',
        description: 'The history contains the time, stage and reason of each failed attempt.',
        params: jobParams,
        response: responses(
          { 200: json(jobWithHistorySchema, 'The job.') },
          'invalid_request',
          'job_not_found',
        ),
      },
    },
    async (request) => {
      return toJobWithHistoryRecord(await services.jobs.find(getPrincipal(request), request.params.id));
    },
  );

  app.post(
    '/jobs/:id/retry',
    {
      config: { access: 'jobs.retry', isIdempotent: true },
      schema: {
        tags,
        summary: 'Retry a failed job',
        description:
          "Resets the job's retry counters and sets the status of its image to `pending`. Only failed jobs can be retried.",
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
      toJobWithHistoryRecord(await services.jobs.retry(getPrincipal(request), request.params.id)),
  );

  app.post(
    '/jobs/retry',
    {
      config: { access: 'jobs.retryAll', isIdempotent: true },
      schema: {
        tags,
        summary: 'Retry all failed jobs that match a filter',
        description: 'The fields of the filter are combined with AND. At least one field is required.',
        bodies: jsonBody(filterBody),
        response: responses(
          { 200: json(retryResultSchema, 'The number of retried jobs.') },
          'invalid_request',
          'unsupported_body',
        ),
      },
    },
    async (request) => {
      const { code, failure_class: failureClass, tenant } = readJsonBody(request, filterBody);
      return { retried: await services.jobs.retryAll(getPrincipal(request), { code, failureClass, tenant }) };
    },
  );
};

/** Returns the numeric id of an image, because job queries do not accept UUIDs. */
async function resolveImageId(
  services: RouteDependencies['services'],
  principal: Principal,
  image: ImageRef,
): Promise<number> {
  return 'id' in image ? image.id : (await services.retrieve.find(principal, image)).id;
}
