import { z } from 'zod';
import { jobKinds, jobStates } from '../../model/job.ts';
import type { Principal } from '../../model/principal.ts';
import type { ImageRef } from '../../model/image.ts';
import { pageFields, pageRequest, tenantField, wholeNumberField } from '../fields.ts';
import { imageRefText } from '../image-ref.ts';
import { readJsonBody } from '../json-body.ts';
import { answers, json } from '../openapi/answers.ts';
import { jsonBody } from '../openapi/bodies.ts';
import { pageRecord, pageSchema } from '../pages.ts';
import { principalOf } from '../principal.ts';
import type { Surface, SurfaceParts } from '../surface.ts';
import {
  failureClasses,
  jobRecord,
  jobSchema,
  jobWithHistoryRecord,
  jobWithHistorySchema,
} from './job-record.ts';

/** Entries of a page where the address names no number. */
const pageSize = 50;

const codeField = z
  .string()
  .regex(/^[a-z_]{1,64}$/, 'is no code of an error, such as "source_unavailable"')
  .describe('Code of an error; `picture_damaged` stands for its whole family.');
const listQuery = z.strictObject({
  state: z.enum(jobStates).optional(),
  kind: z.enum(jobKinds).optional(),
  tenant: tenantField.optional(),
  image: imageRefText.optional(),
  code: codeField.optional(),
  ...pageFields(pageSize),
});
const jobParams = z.object({ id: wholeNumberField(0, 999_999_999_999_999, 'Number of a job.') });
const causeBody = z
  .strictObject({
    code: codeField.optional(),
    failure_class: z.enum(failureClasses).optional(),
    tenant: tenantField.optional(),
  })
  .refine((cause) => Object.values(cause).some((value) => value !== undefined), {
    error: 'must have at least one of "code", "failure_class" and "tenant"',
  })
  .meta({ minProperties: 1 });
const retriedSchema = z.object({ retried: z.int() });

/** `/v1/jobs`: for operators. */
export const jobRoutes: Surface = (app, { services }) => {
  const tags = ['Jobs'];

  app.get(
    '/jobs',
    {
      schema: {
        tags,
        summary: 'List jobs, newest first',
        description:
          'A job is the work on one image: to fetch it, or to make its renditions. All filters have to fit.',
        querystring: listQuery,
        response: answers(
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
      const imageId = image && (await numberOf(services, principal, image));
      const found = await services.jobs.list(principal, { state, kind, tenant, imageId, code }, page);
      return pageRecord(found, page, jobRecord);
    },
  );

  app.get(
    '/jobs/:id',
    {
      schema: {
        tags,
        summary: 'One job with the history of its tries',
        description: 'Each try with its beginning, its end and the reason of its failure.',
        params: jobParams,
        response: answers(
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
        summary: 'Give a failed job a new set of tries',
        description: 'Only a job that has failed may be retried; its image is in work again.',
        params: jobParams,
        response: answers(
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
        summary: 'Give all failed jobs with one cause a new set of tries',
        description: 'Every given field has to fit.',
        takes: jsonBody(causeBody),
        response: answers({ 200: json(retriedSchema, 'How many.') }, 'invalid_request', 'unsupported_body'),
      },
    },
    async (request) => {
      const { code, failure_class: failureClass, tenant } = readJsonBody(request, causeBody);
      return { retried: await services.jobs.retryAll(principalOf(request), { code, failureClass, tenant }) };
    },
  );
};

/** Jobs name their image by its number. */
async function numberOf(
  services: SurfaceParts['services'],
  principal: Principal,
  image: ImageRef,
): Promise<number> {
  return 'id' in image ? image.id : (await services.retrieve.find(principal, image)).id;
}
