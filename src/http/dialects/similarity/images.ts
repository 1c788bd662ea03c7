import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { defaultTenant } from '../../../model/tenant.ts';
import { similarityFields, similarityOptions } from '../../fields/fields.ts';
import { offsetPageFields, pageRequest } from '../../fields/pages.ts';
import { responses, json } from '../../openapi/responses.ts';
import { fileErrors, pictureForm } from '../../openapi/bodies.ts';
import { principalOf } from '../../principal.ts';
import type { Surface } from '../../surface.ts';
import {
  imageRecord,
  imageSchema,
  similarRecord,
  similarSchema,
  uploadRecord,
  uploadSchema,
} from './records.ts';

/** Default page size. */
const pageSize = 20;

const imageParams = z.object({
  image_id: z
    .guid('must be a UUID, such as 550e8400-e29b-41d4-a716-446655440000')
    .describe('UUID of an image.'),
});
const similarResponse = z.object({
  query_image_id: z.uuid(),
  similar_images: z.array(similarSchema).describe('Best first.'),
  total_results: z.int(),
  search_timestamp: z.iso.datetime(),
});
const listResponse = z.object({
  images: z.array(imageSchema),
  total: z.int(),
  limit: z.int(),
  offset: z.int(),
});
const tags = ['Similarity dialect'];

/** Routes of images in the similarity dialect, which identifies images by UUID and sees only the tenant `default`. */
export const similarityImageRoutes: Surface = (app, { services, receiveUploadForm, config }) => {
  const tenantPrincipalOf = (request: FastifyRequest) =>
    services.bindToTenant(principalOf(request), defaultTenant);

  app.post(
    '/api/v1/images/upload',
    {
      schema: {
        tags,
        summary: 'Upload an image',
        description:
          'Adds the image to the tenant `default`. Uploading the same bytes again returns the existing image.',
        bodies: pictureForm(),
        response: responses(
          { 200: json(uploadSchema, 'The new image, or the existing one with the same bytes.') },
          'invalid_request',
          ...fileErrors,
        ),
      },
    },
    async (request) => {
      const { file, filename } = await receiveUploadForm(request.raw);
      const upload = { file, filename, tenantName: defaultTenant, mode: 'inline' } as const;
      return uploadRecord((await services.ingestUpload(principalOf(request), upload)).image);
    },
  );

  app.get(
    '/api/v1/images',
    {
      schema: {
        tags,
        summary: 'List images, newest first',
        querystring: z.object(offsetPageFields(pageSize)),
        response: responses({ 200: json(listResponse, 'One page.') }, 'invalid_request'),
      },
    },
    async (request) => {
      const page = pageRequest(request.query, pageSize);
      const { items, total } = await services.listImages(await tenantPrincipalOf(request), {}, page);
      return { images: items.map(imageRecord), total, limit: page.limit, offset: page.offset };
    },
  );

  app.get(
    '/api/v1/images/:image_id',
    {
      schema: {
        tags,
        summary: 'Get an image',
        params: imageParams,
        response: responses({ 200: json(imageSchema, 'The image.') }, 'invalid_request', 'image_not_found'),
      },
    },
    async (request) =>
      imageRecord(await services.retrieve.find(await tenantPrincipalOf(request), imageOf(request.params))),
  );

  app.get(
    '/api/v1/images/:image_id/similar',
    {
      schema: {
        tags,
        summary: 'Find similar images',
        description: 'Returns the best matches first, except the image itself and its exact copies.',
        params: imageParams,
        querystring: z.object(similarityFields),
        response: responses(
          { 200: json(similarResponse, 'Similar images.') },
          'invalid_request',
          'image_not_found',
          'fingerprint_not_ready',
        ),
      },
    },
    async (request) => {
      const principal = await tenantPrincipalOf(request);
      const options = similarityOptions(request.query, config.similarity);
      const { image, similar } = await services.findSimilar(principal, imageOf(request.params), options);
      return {
        query_image_id: image.uuid,
        similar_images: similar.map(similarRecord),
        total_results: similar.length,
        search_timestamp: new Date().toISOString(),
      };
    },
  );

  app.delete(
    '/api/v1/images/:image_id',
    {
      schema: {
        tags,
        summary: 'Delete an image',
        description:
          'Hides the image immediately; until it is purged, `/v1` can restore it. An image in use is not deleted.',
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
      const principal = await tenantPrincipalOf(request);
      const { uuid } = await services.deleteImage(principal, imageOf(request.params), { force: false });
      return { message: `Image ${uuid} was deleted.` };
    },
  );
};

/** In lower case, as every other response spells UUIDs. */
function imageOf({ image_id: uuid }: z.output<typeof imageParams>): { readonly uuid: string } {
  return { uuid: uuid.toLowerCase() };
}
