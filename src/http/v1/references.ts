import { z } from 'zod';
import { imageParams, newReferenceField, referenceField } from '../fields/fields.ts';
import { responses, json } from '../openapi/responses.ts';
import { pageFields, toPageRecord, toPageRequest, pageSchema } from '../fields/pages.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';

/** Default page size. */
const pageSize = 50;

const referenceParams = imageParams.extend({ ref: referenceField });
const newReferenceParams = imageParams.extend({ ref: newReferenceField });
const referenceSchema = z.object({ reference: z.string(), created_at: z.iso.datetime() });
const additionResultSchema = z.object({ reference: z.string(), in_use_count: z.int() });
const removalResultSchema = z.object({ in_use_count: z.int() });

/** Routes that list, add and remove the references of an image. */
export const referenceRoutes: RoutePlugin = (app, { services: { references } }) => {
  const tags = ['References'];

  app.get(
    '/images/:id/references',
    {
      config: { access: 'references.list' },
      schema: {
        tags,
        summary: 'List the references of an image',
        description: 'Returns the newest references first.',
        params: imageParams,
        querystring: z.strictObject(pageFields(pageSize)),
        response: responses(
          { 200: json(pageSchema(referenceSchema), 'One page.') },
          'invalid_request',
          'image_not_found',
        ),
      },
    },
    async (request) => {
      const page = toPageRequest(request.query, pageSize);
      const result = await references.list(getPrincipal(request), request.params.id, page);
      return toPageRecord(result, page, ({ reference, createdAt }) => ({
        reference,
        created_at: createdAt.toISOString(),
      }));
    },
  );

  app.put(
    '/images/:id/references/:ref',
    {
      config: { access: 'references.add' },
      schema: {
        tags,
        summary: 'Add a reference to an image',
        description: 'An image with references is deleted only with `force`, and is not purged as unused.',
        params: newReferenceParams,
        response: responses(
          {
            200: json(additionResultSchema, 'The reference already existed.'),
            201: json(additionResultSchema, 'Added.'),
          },
          'invalid_request',
          'image_not_found',
        ),
      },
    },
    async (request, reply) => {
      const { id, ref } = request.params;
      const { reference, added, count } = await references.add(getPrincipal(request), id, ref);
      return reply.code(added ? 201 : 200).send({ reference, in_use_count: count });
    },
  );

  app.delete(
    '/images/:id/references/:ref',
    {
      config: { access: 'references.remove' },
      schema: {
        tags,
        summary: 'Remove a reference from an image',
        description: 'Succeeds even if the image does not have the reference.',
        params: referenceParams,
        response: responses(
          { 200: json(removalResultSchema, 'The image no longer has the reference.') },
          'invalid_request',
          'image_not_found',
        ),
      },
    },
    async (request) => {
      const { id, ref } = request.params;
      const { count } = await references.remove(getPrincipal(request), id, ref);
      return { in_use_count: count };
    },
  );
};
