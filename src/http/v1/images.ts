import { z } from 'zod';
import { jobStates } from '../../model/job.ts';
import { imageParams, tenantField, timeField } from '../fields/fields.ts';
import { responses, empty, json } from '../openapi/responses.ts';
import { pageFields, pageRecord, pageRequest, pageSchema } from '../fields/pages.ts';
import { principalOf } from '../principal.ts';
import type { Surface } from '../surface.ts';
import { imageRecord, imageSchema } from './image-record.ts';

/** Default page size. */
const pageSize = 20;

const listQuery = z.strictObject({
  tenant: tenantField.optional(),
  status: z.enum(jobStates).optional(),
  created_after: timeField.optional().describe('Inclusive; with a time zone.'),
  created_before: timeField.optional().describe('Exclusive; with a time zone.'),
  ...pageFields(pageSize),
});

const deleteQuery = z.strictObject({
  force: z
    .enum(['true', 'false'])
    .default('false')
    .describe('Whether to delete the image even if it is in use.'),
});

/** Routes of image records: list, read, delete, restore. */
export const imageRoutes: Surface = (app, { services }) => {
  const tags = ['Images'];

  app.get(
    '/images',
    {
      schema: {
        tags,
        summary: 'List images, newest first',
        description: 'Excludes deleted images. Filters are combined with AND.',
        querystring: listQuery,
        response: responses({ 200: json(pageSchema(imageSchema), 'One page.') }, 'invalid_request'),
      },
    },
    async (request) => {
      const { tenant, status, created_after, created_before } = request.query;
      const filter = {
        tenant,
        status,
        createdAfter: created_after === undefined ? undefined : new Date(created_after),
        createdBefore: created_before === undefined ? undefined : new Date(created_before),
      };
      const page = pageRequest(request.query, pageSize);
      return pageRecord(await services.listImages(principalOf(request), filter, page), page, imageRecord);
    },
  );

  app.get(
    '/images/:id',
    {
      schema: {
        tags,
        summary: 'Get an image',
        description: 'Includes its status, the URLs of its renditions, and its near-duplicates.',
        params: imageParams,
        response: responses({ 200: json(imageSchema, 'The image.') }, 'invalid_request', 'image_not_found'),
      },
    },
    async (request) => imageRecord(await services.retrieve.find(principalOf(request), request.params.id)),
  );

  app.delete(
    '/images/:id',
    {
      schema: {
        tags,
        summary: 'Delete an image',
        description:
          'Every URL of the image returns 404 immediately. Its files are kept until a purge; until then, it can be restored. An image with references is only deleted with `force=true`; otherwise the error lists them.',
        params: imageParams,
        querystring: deleteQuery,
        response: responses({ 204: empty('Deleted.') }, 'invalid_request', 'image_not_found', 'image_in_use'),
      },
    },
    async (request, reply) => {
      const force = request.query.force === 'true';
      await services.deleteImage(principalOf(request), request.params.id, { force });
      return reply.code(204).send();
    },
  );

  app.post(
    '/images/:id/restore',
    {
      schema: {
        tags,
        summary: 'Restore a deleted image',
        description: 'Works until the image is purged. Has no effect on an image that is not deleted.',
        params: imageParams,
        response: responses({ 200: json(imageSchema, 'The image.') }, 'invalid_request', 'image_not_found'),
      },
    },
    async (request) => imageRecord(await services.restoreImage(principalOf(request), request.params.id)),
  );
};
