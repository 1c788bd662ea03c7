import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { similarityFields, toSimilarityOptions } from '../../fields/fields.ts';
import { offsetPageFields, toPageRequest } from '../../fields/pages.ts';
import { responses, json } from '../../openapi/responses.ts';
import { fileErrors, pictureForm } from '../../openapi/bodies.ts';
import { getPrincipal } from '../../principal.ts';
import type { RoutePlugin } from '../../route-plugin.ts';
import {
  toImageRecord,
  imageSchema,
  toSimilarRecord,
  similarSchema,
  toUploadRecord,
  uploadSchema,
} from './records.ts';

/** Default page size. */
const pageSize = 20;

const imageParams = z.object({
  image_id: z
    .guid('must be a UUID, such as 550e8400-e29b-41d4-a716-446655440000')
    .describe('UUID of an image.'),
});
const similarResponseSchema = z.object({
  query_image_id: z.uuid(),
  similar_images: z.array(similarSchema).describe('Best match first.'),
  total_results: z.int(),
  search_timestamp: z.iso.datetime(),
});
const listResponseSchema = z.object({
  images: z.array(imageSchema),
  total: z.int(),
  limit: z.int(),
  offset: z.int(),
});
const tags = ['Similarity dialect'];

/**
 * Image routes of the similarity dialect, the API of an older similarity service. The dialect identifies images by UUID
 * and is limited to the tenant of the API key or, without one, to the tenant `default`.
 */
export const similarityImageRoutes: RoutePlugin = (
  app,
  { services, receiveUploadForm, beginForm, config },
) => {
  const getTenantPrincipal = (request: FastifyRequest) => services.bindToTenant(getPrincipal(request));

  app.post(
    '/api/v1/images/upload',
    {
      config: { access: 'ingestUpload', isIdempotent: true },
      schema: {
        tags,
        summary: 'Upload an image',
        description:
          'Adds the image to the tenant of the API key or, without one, to the tenant `default`. Uploading the same bytes again returns the existing image.',
        bodies: pictureForm(),
        response: responses(
          { 200: json(uploadSchema, 'The new image, or the existing image with the same bytes.') },
          'invalid_request',
          'quota_exceeded',
          ...fileErrors,
          'picture_rejected',
        ),
      },
    },
    async (request) => {
      const form = await receiveUploadForm(request.raw);
      await beginForm(request, form);
      const { file, filename } = form;
      const upload = { file, filename, mode: 'inline' } as const;
      return toUploadRecord((await services.ingestUpload(getPrincipal(request), upload)).image);
    },
  );

  app.get(
    '/api/v1/images',
    {
      config: { access: 'listImages' },
      schema: {
        tags,
        summary: 'List images, newest first',
        querystring: z.object(offsetPageFields(pageSize)),
        response: responses({ 200: json(listResponseSchema, 'One page.') }, 'invalid_request'),
      },
    },
    async (request) => {
      const page = toPageRequest(request.query, pageSize);
      const { items, total } = await services.listImages(await getTenantPrincipal(request), {}, page);
      return { images: items.map(toImageRecord), total, limit: page.limit, offset: page.offset };
    },
  );

  app.get(
    '/api/v1/images/:image_id',
    {
      config: { access: 'retrieve.find' },
      schema: {
        tags,
        summary: 'Get an image',
        params: imageParams,
        response: responses({ 200: json(imageSchema, 'The image.') }, 'invalid_request', 'image_not_found'),
      },
    },
    async (request) =>
      toImageRecord(
        await services.retrieve.find(await getTenantPrincipal(request), toImageRef(request.params)),
      ),
  );

  app.get(
    '/api/v1/images/:image_id/similar',
    {
      config: { access: 'findSimilar' },
      schema: {
        tags,
        summary: 'Find similar images',
        description:
          'Returns similar images, best match first. Excludes the image itself and its exact copies.',
        params: imageParams,
        querystring: z.object(similarityFields),
        response: responses(
          { 200: json(similarResponseSchema, 'Similar images.') },
          'invalid_request',
          'image_not_found',
          'fingerprint_not_ready',
        ),
      },
    },
    async (request) => {
      const principal = await getTenantPrincipal(request);
      const options = toSimilarityOptions(request.query, config.similarity);
      const { image, similar } = await services.findSimilar(principal, toImageRef(request.params), options);
      return {
        query_image_id: image.uuid,
        similar_images: similar.map(toSimilarRecord),
        total_results: similar.length,
        search_timestamp: new Date().toISOString(),
      };
    },
  );

  app.delete(
    '/api/v1/images/:image_id',
    {
      config: { access: 'deleteImage' },
      schema: {
        tags,
        summary: 'Delete an image',
        description:
          'Hides the image immediately. Until the image is purged, it can be restored through `/v1`. An image that is in use is not deleted.',
        params: imageParams,
        response: responses(
          { 200: json(z.object({ message: z.string() }), 'Deleted.') },
          'invalid_request',
          'image_not_found',
          'image_in_use',
        ),
      },
    },
    async (request) => {
      const principal = await getTenantPrincipal(request);
      const { uuid } = await services.deleteImage(principal, toImageRef(request.params), { force: false });
      return { message: `Image ${uuid} was deleted.` };
    },
  );
};

/** Returns the image's UUID in lower case, as it appears in all responses. */
function toImageRef({ image_id: uuid }: z.output<typeof imageParams>): { readonly uuid: string } {
  return { uuid: uuid.toLowerCase() };
}
