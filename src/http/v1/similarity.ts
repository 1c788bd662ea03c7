import { z } from 'zod';
import {
  imageParams,
  metricField,
  similarityFields,
  toSimilarityOptions,
  tenantFormField,
} from '../fields/fields.ts';
import { responses, json } from '../openapi/responses.ts';
import { fileErrors, pictureForm } from '../openapi/bodies.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';
import {
  toDuplicateRecord,
  duplicateSchema,
  searchFields,
  toSimilarRecord,
  similarSchema,
} from './similarity-record.ts';

const similarityQuery = z.strictObject({
  ...similarityFields,
  metric: metricField,
  explain: z.enum(['true', 'false']).default('false').describe('Whether to explain each score by its parts.'),
});
const similarResponseSchema = z.object({
  query: z.object({
    id: z.int(),
    uuid: z.uuid(),
    limit: z.int(),
    threshold: z.number(),
    metric: z
      .string()
      .nullable()
      .describe('`null`: the embeddings are compared by their parts, or by `cosine` if they have none.'),
  }),
  similar: z.array(similarSchema).describe('Best match first.'),
  ...searchFields,
});
const duplicatesResponseSchema = z.object({
  id: z.int(),
  uuid: z.uuid(),
  duplicates: z.array(duplicateSchema),
});
const searchResponseSchema = z.object({
  near_duplicates: z.array(duplicateSchema).describe('Exact copies and near-duplicates, closest first.'),
  similar: z.array(similarSchema).describe('Best match first.'),
  ...searchFields,
});
const tags = ['Similarity'];

/** Routes that find similar images and duplicates. */
export const similarityRoutes: RoutePlugin = (app, { services, receiveUploadForm, config }) => {
  app.get(
    '/images/:id/similar',
    {
      config: { access: 'findSimilar' },
      schema: {
        tags,
        summary: 'Find similar images',
        description:
          'Compares embeddings of colour and shape within the tenant and returns the best matches first.',
        params: imageParams,
        querystring: similarityQuery,
        response: responses(
          {
            200: json(similarResponseSchema, 'Similar images, except the image itself and its exact copies.'),
          },
          'invalid_request',
          'image_not_found',
          'fingerprint_not_ready',
        ),
      },
    },
    async (request) => {
      const options = toSimilarityOptions(request.query, config.similarity);
      const explain = request.query.explain === 'true';
      const { id } = request.params;
      const { image, similar, searched, exact } = await services.findSimilar(
        getPrincipal(request),
        id,
        options,
      );
      const query = { id: image.id, uuid: image.uuid, ...options, metric: options.metric ?? null };
      return { query, similar: similar.map((match) => toSimilarRecord(match, explain)), searched, exact };
    },
  );

  app.get(
    '/images/:id/duplicates',
    {
      config: { access: 'findDuplicates' },
      schema: {
        tags,
        summary: 'Find duplicates of an image',
        description:
          'Exact copies have the same bytes. Near-duplicates show the same picture in a different size, quality or format.',
        params: imageParams,
        response: responses(
          { 200: json(duplicatesResponseSchema, 'Duplicates with their distance and the reason.') },
          'invalid_request',
          'image_not_found',
        ),
      },
    },
    async (request) => {
      const { id } = request.params;
      const { image, duplicates } = await services.findDuplicates(getPrincipal(request), id);
      return { id: image.id, uuid: image.uuid, duplicates: duplicates.map(toDuplicateRecord) };
    },
  );

  app.post(
    '/search',
    {
      config: { access: 'searchByPicture' },
      schema: {
        tags,
        summary: 'Search by image',
        description:
          'Finds exact copies, near-duplicates and similar images within one tenant. The uploaded file is not stored.',
        querystring: similarityQuery,
        bodies: pictureForm({ tenant: tenantFormField }),
        response: responses(
          { 200: json(searchResponseSchema, 'Duplicates and similar images.') },
          'invalid_request',
          'invalid_tenant',
          'tenant_not_found',
          ...fileErrors,
        ),
      },
    },
    async (request) => {
      const options = toSimilarityOptions(request.query, config.similarity);
      const explain = request.query.explain === 'true';
      const { file, fields } = await receiveUploadForm(request.raw, ['tenant']);
      const tenantName = fields.get('tenant');
      const principal = getPrincipal(request);
      const result = await services.searchByPicture(principal, tenantName, file, options);
      const { duplicates, similar, searched, exact } = result;
      return {
        near_duplicates: duplicates.map(toDuplicateRecord),
        similar: similar.map((match) => toSimilarRecord(match, explain)),
        searched,
        exact,
      };
    },
  );
};
