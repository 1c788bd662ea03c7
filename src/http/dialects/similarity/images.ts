import { z } from 'zod';
import { AppError } from '../../../errors.ts';
import type { ImageRef, ImageWithRenditions } from '../../../model/image.ts';
import type { Principal } from '../../../model/principal.ts';
import { defaultTenant } from '../../../model/tenant.ts';
import { offsetPageFields, pageRequest } from '../../fields/fields.ts';
import { answers, json } from '../../openapi/responses.ts';
import { fileErrors, pictureForm } from '../../openapi/bodies.ts';
import { principalOf } from '../../principal.ts';
import { similarityFields, similarityOptions } from '../../similarity-options.ts';
import type { Surface, SurfaceParts } from '../../surface.ts';
import {
  imageRecord,
  imageSchema,
  similarRecord,
  similarSchema,
  uploadRecord,
  uploadSchema,
} from './records.ts';

/** Entries of a page where the address names no number. */
const pageSize = 20;

const imageParams = z.object({
  image_id: z.guid('is no UUID, such as 550e8400-e29b-41d4-a716-446655440000').describe('UUID of an image.'),
});
const similarAnswer = z.object({
  query_image_id: z.uuid(),
  similar_images: z.array(similarSchema).describe('Best first.'),
  total_results: z.int(),
  search_timestamp: z.iso.datetime(),
});
const listAnswer = z.object({
  images: z.array(imageSchema),
  total: z.int(),
  limit: z.int(),
  offset: z.int(),
});
const tags = ['Similarity dialect'];

/** `/api/v1/images`: pictures of the tenant `default`, named by UUIDs. */
export const similarityImageRoutes: Surface = (app, { services, receiveUploadForm, config }) => {
  app.post(
    '/api/v1/images/upload',
    {
      schema: {
        tags,
        summary: 'Upload a picture',
        description: 'For the tenant `default`. The same bytes are one image.',
        takes: pictureForm(),
        response: answers(
          { 200: json(uploadSchema, 'The image; known content leads to the image that is there.') },
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
        response: answers({ 200: json(listAnswer, 'One page.') }, 'invalid_request'),
      },
    },
    async (request) => {
      const page = pageRequest(request.query, pageSize);
      const filter = { tenant: defaultTenant };
      const { items, total } = await services.listImages(principalOf(request), filter, page);
      return { images: items.map(imageRecord), total, limit: page.limit, offset: page.offset };
    },
  );

  app.get(
    '/api/v1/images/:image_id',
    {
      schema: {
        tags,
        summary: 'One image',
        params: imageParams,
        response: answers({ 200: json(imageSchema, 'The image.') }, 'invalid_request', 'image_not_found'),
      },
    },
    async (request) =>
      imageRecord(await findOwn(services, principalOf(request), { uuid: request.params.image_id })),
  );

  app.get(
    '/api/v1/images/:image_id/similar',
    {
      schema: {
        tags,
        summary: 'Images that look similar',
        description: 'Of the tenant `default`, best first, without the image itself and its exact copies.',
        params: imageParams,
        querystring: z.object(similarityFields),
        response: answers(
          { 200: json(similarAnswer, 'Without the image itself.') },
          'invalid_request',
          'image_not_found',
          'fingerprint_not_ready',
        ),
      },
    },
    async (request) => {
      const principal = principalOf(request);
      const options = similarityOptions(request.query, config.similarity);
      const { id, uuid } = await findOwn(services, principal, { uuid: request.params.image_id });
      const { similar } = await services.findSimilar(principal, { id }, options);
      return {
        query_image_id: uuid,
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
        description: 'It is hidden at once and may be restored in `/v1`. An image that is in use is refused.',
        params: imageParams,
        response: answers(
          { 200: json(z.object({ message: z.string() }), 'Deleted.') },
          'invalid_request',
          'image_not_found',
          'image_in_use',
        ),
      },
    },
    async (request) => {
      const principal = principalOf(request);
      const { id, uuid } = await findOwn(services, principal, { uuid: request.params.image_id });
      await services.deleteImage(principal, { id }, { force: false });
      return { message: `Image ${uuid} was deleted.` };
    },
  );
};

/** This dialect knows one tenant. The images of others are not there for it. */
async function findOwn(
  { retrieve }: SurfaceParts['services'],
  principal: Principal,
  reference: Extract<ImageRef, { uuid: string }>,
): Promise<ImageWithRenditions> {
  const image = await retrieve.find(principal, { uuid: reference.uuid.toLowerCase() });
  if (image.tenant === defaultTenant) return image;
  throw new AppError('image_not_found', `There is no image ${reference.uuid}.`);
}
