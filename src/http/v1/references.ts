import { z } from 'zod';
import { newReferenceField, pageFields, pageRequest, referenceField } from '../fields/fields.ts';
import { imageRef } from '../image-ref.ts';
import { answers, json } from '../openapi/responses.ts';
import { pageRecord, pageSchema } from '../fields/pages.ts';
import { principalOf } from '../principal.ts';
import type { Surface } from '../surface.ts';

/** Entries of a page where the address names no number. */
const pageSize = 50;

const referenceParams = imageRef.extend({ ref: referenceField });
const newReferenceParams = imageRef.extend({ ref: newReferenceField });
const usedBySchema = z.object({ reference: z.string(), created_at: z.iso.datetime() });
const addedSchema = z.object({ reference: z.string(), in_use_count: z.int() });
const removedSchema = z.object({ in_use_count: z.int() });

/** `/v1/images/{id}/references`: who uses an image. */
export const referenceRoutes: Surface = (app, { services: { references } }) => {
  const tags = ['References'];

  app.get(
    '/images/:id/references',
    {
      schema: {
        tags,
        summary: 'Who uses an image',
        description: 'Names that were given to it, newest first.',
        params: imageRef,
        querystring: z.strictObject(pageFields(pageSize)),
        response: answers(
          { 200: json(pageSchema(usedBySchema), 'One page.') },
          'invalid_request',
          'image_not_found',
        ),
      },
    },
    async (request) => {
      const page = pageRequest(request.query, pageSize);
      const found = await references.list(principalOf(request), request.params.id, page);
      return pageRecord(found, page, ({ reference, createdAt }) => ({
        reference,
        created_at: createdAt.toISOString(),
      }));
    },
  );

  app.put(
    '/images/:id/references/:ref',
    {
      schema: {
        tags,
        summary: 'Say that someone uses an image',
        description: 'An image in use is not deleted by mistake, and never purged as unused.',
        params: newReferenceParams,
        response: answers(
          { 200: json(addedSchema, 'It was there already.'), 201: json(addedSchema, 'Added.') },
          'invalid_request',
          'image_not_found',
        ),
      },
    },
    async (request, reply) => {
      const { id, ref } = request.params;
      const { reference, added, count } = await references.add(principalOf(request), id, ref);
      return reply.code(added ? 201 : 200).send({ reference, in_use_count: count });
    },
  );

  app.delete(
    '/images/:id/references/:ref',
    {
      schema: {
        tags,
        summary: 'Say that someone no longer uses an image',
        description: 'A reference that is not there is fine.',
        params: referenceParams,
        response: answers(
          { 200: json(removedSchema, 'It is not there any more.') },
          'invalid_request',
          'image_not_found',
        ),
      },
    },
    async (request) => {
      const { id, ref } = request.params;
      const { count } = await references.remove(principalOf(request), id, ref);
      return { in_use_count: count };
    },
  );
};
