import { z } from 'zod';
import { defaultTenant } from '../../model/tenant.ts';
import { tenantField } from '../fields/fields.ts';
import { imageRef } from '../image-ref.ts';
import { answers, json } from '../openapi/responses.ts';
import { fileErrors, pictureForm } from '../openapi/bodies.ts';
import { principalOf } from '../principal.ts';
import { similarityFields, similarityOptions } from '../similarity-options.ts';
import type { Surface } from '../surface.ts';
import {
  duplicateRecord,
  duplicateSchema,
  searchFields,
  similarRecord,
  similarSchema,
} from './similarity-record.ts';

const similarityQuery = z.strictObject(similarityFields);
const similarAnswer = z.object({
  query: z.object({ id: z.int(), uuid: z.uuid(), limit: z.int(), threshold: z.number() }),
  similar: z.array(similarSchema).describe('Best first.'),
  ...searchFields,
});
const duplicatesAnswer = z.object({ id: z.int(), uuid: z.uuid(), duplicates: z.array(duplicateSchema) });
const searchAnswer = z.object({
  near_duplicates: z.array(duplicateSchema).describe('Exact copies and near-duplicates, nearest first.'),
  similar: z.array(similarSchema).describe('Best first.'),
  ...searchFields,
});
const tags = ['Similarity'];

/** Images that look alike. */
export const similarityRoutes: Surface = (app, { services, receiveUploadForm, config }) => {
  app.get(
    '/images/:id/similar',
    {
      schema: {
        tags,
        summary: 'Images of the same tenant that look similar',
        description:
          'Compares descriptors of colour, shape and texture, best first. Scores put images in an order; they are no measure of their own.',
        params: imageRef,
        querystring: similarityQuery,
        response: answers(
          { 200: json(similarAnswer, 'Without the image itself and its exact copies.') },
          'invalid_request',
          'image_not_found',
          'fingerprint_not_ready',
        ),
      },
    },
    async (request) => {
      const options = similarityOptions(request.query, config.similarity);
      const { id } = request.params;
      const { image, similar, searched, exact } = await services.findSimilar(
        principalOf(request),
        id,
        options,
      );
      const query = { id: image.id, uuid: image.uuid, ...options };
      return { query, similar: similar.map(similarRecord), searched, exact };
    },
  );

  app.get(
    '/images/:id/duplicates',
    {
      schema: {
        tags,
        summary: 'Exact copies and near-duplicates of an image',
        description:
          'Exact copies have the same bytes. Near-duplicates show the same picture, saved again with another size, quality or format.',
        params: imageRef,
        response: answers(
          { 200: json(duplicatesAnswer, 'Each with its distance and the reason.') },
          'invalid_request',
          'image_not_found',
        ),
      },
    },
    async (request) => {
      const { id } = request.params;
      const { image, duplicates } = await services.findDuplicates(principalOf(request), id);
      return { id: image.id, uuid: image.uuid, duplicates: duplicates.map(duplicateRecord) };
    },
  );

  app.post(
    '/search',
    {
      schema: {
        tags,
        summary: 'Search by a picture that is not kept',
        description:
          'Looks among the images of one tenant: for copies, near-duplicates, and what looks similar.',
        querystring: similarityQuery,
        takes: pictureForm({ tenant: tenantField.optional() }),
        response: answers(
          { 200: json(searchAnswer, 'What the tenant has that looks like it.') },
          'invalid_request',
          'invalid_tenant',
          'tenant_not_found',
          ...fileErrors,
        ),
      },
    },
    async (request) => {
      const options = similarityOptions(request.query, config.similarity);
      const { file, fields } = await receiveUploadForm(request.raw, ['tenant']);
      const tenantName = fields.get('tenant') ?? defaultTenant;
      const principal = principalOf(request);
      const found = await services.searchByPicture(principal, tenantName, file, options);
      const { duplicates, similar, searched, exact } = found;
      return {
        near_duplicates: duplicates.map(duplicateRecord),
        similar: similar.map(similarRecord),
        searched,
        exact,
      };
    },
  );
};
