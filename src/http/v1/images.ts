import { z } from 'zod';
import { jobStates } from '../../model/job.ts';
import { pageFields, pageRequest, tenantField, timeField } from '../fields/fields.ts';
import { imageRef } from '../image-ref.ts';
import { answers, empty, json } from '../openapi/responses.ts';
import { pageRecord, pageSchema } from '../fields/pages.ts';
import { principalOf } from '../principal.ts';
import type { Surface } from '../surface.ts';
import { imageRecord, imageSchema } from './image-record.ts';

/** Entries of a page where the address names no number. */
const pageSize = 20;

const listQuery = z.strictObject({
  tenant: tenantField.optional(),
  status: z.enum(jobStates).optional(),
  created_after: timeField.optional().describe('Inclusive, with a zone.'),
  created_before: timeField.optional().describe('Exclusive, with a zone.'),
  ...pageFields(pageSize),
});

const deleteQuery = z.strictObject({
  force: z.enum(['true', 'false']).default('false').describe('`true` deletes an image that is in use, too.'),
});

/** `/v1/images`: records, deleting and bringing back. */
export const imageRoutes: Surface = (app, { services }) => {
  const tags = ['Images'];

  app.get(
    '/images',
    {
      schema: {
        tags,
        summary: 'List images, newest first',
        description: 'Without those that were deleted. All filters have to fit.',
        querystring: listQuery,
        response: answers({ 200: json(pageSchema(imageSchema), 'One page.') }, 'invalid_request'),
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
        summary: 'One image',
        description: 'Its state, its pictures with their addresses, and its near-duplicates.',
        params: imageRef,
        response: answers({ 200: json(imageSchema, 'The image.') }, 'invalid_request', 'image_not_found'),
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
          'It is gone on every address at once. Its files stay until a purge; until then it may be restored. An image with references is refused unless `force=true`; the answer names them.',
        params: imageRef,
        querystring: deleteQuery,
        response: answers({ 204: empty('Deleted.') }, 'invalid_request', 'image_not_found', 'image_in_use'),
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
        summary: 'Bring a deleted image back',
        description: 'Possible until a purge has removed it. An image that is not deleted stays as it is.',
        params: imageRef,
        response: answers({ 200: json(imageSchema, 'The image.') }, 'invalid_request', 'image_not_found'),
      },
    },
    async (request) => imageRecord(await services.restoreImage(principalOf(request), request.params.id)),
  );
};
