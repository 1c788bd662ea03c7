import { z } from 'zod';
import type { FactsFilter } from '../../db/images/images.ts';
import { backgroundKinds } from '../../model/intake-facts.ts';
import { intakeRuleNames } from '../../model/intake-rules.ts';
import { jobStates } from '../../model/job.ts';
import {
  decimalField,
  flagField,
  fractionField,
  imageParams,
  tenantField,
  timeField,
} from '../fields/fields.ts';
import { responses, empty, json } from '../openapi/responses.ts';
import { pageFields, toPageRecord, toPageRequest, pageSchema } from '../fields/pages.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';
import { imageSchema, makeToImageRecord } from './image-record.ts';

/** Default page size. */
const pageSize = 20;

const listQuery = z.strictObject({
  tenant: tenantField.optional(),
  status: z.enum(jobStates).optional(),
  created_after: timeField.optional().describe('Earliest creation time (inclusive), with a time zone.'),
  created_before: timeField.optional().describe('Latest creation time (exclusive), with a time zone.'),
  background: z.enum(backgroundKinds).optional().describe('Kind of background.'),
  min_sharpness: decimalField(100, 'Least sharpness, 0 to 100 (inclusive).').optional(),
  max_sharpness: decimalField(100, 'Largest sharpness, 0 to 100 (inclusive).').optional(),
  min_fill: fractionField('Least fraction of the image that the product covers (inclusive).').optional(),
  max_fill: fractionField('Largest fraction of the image that the product covers (inclusive).').optional(),
  upscaled: flagField('Whether the image looks like an enlarged copy of a smaller one.').optional(),
  heavily_compressed: flagField('Whether the image is heavily compressed.').optional(),
  warning: z.enum(intakeRuleNames).optional().describe('Only images with a warning of this intake rule.'),
  ...pageFields(pageSize),
});

/** Returns the filter by facts; `undefined` if the query has none. */
function toFactsFilter(query: z.output<typeof listQuery>): FactsFilter | undefined {
  const filter = {
    background: query.background,
    minSharpness: query.min_sharpness,
    maxSharpness: query.max_sharpness,
    minFill: query.min_fill,
    maxFill: query.max_fill,
    upscaled: query.upscaled,
    heavilyCompressed: query.heavily_compressed,
  };
  return Object.values(filter).some((value) => value !== undefined) ? filter : undefined;
}

const deleteQuery = z.strictObject({
  force: z
    .enum(['true', 'false'])
    .default('false')
    .describe('Whether to delete the image even if it is in use.'),
});

/** Routes that list, get, delete and restore images. */
export const imageRoutes: RoutePlugin = (app, dependencies) => {
  const { services } = dependencies;
  const toImageRecord = makeToImageRecord(dependencies);
  const tags = ['Images'];

  app.get(
    '/images',
    {
      config: { access: 'listImages' },
      schema: {
        tags,
        summary: 'List images, newest first',
        description: 'Excludes deleted images. Filters are combined with AND.',
        querystring: listQuery,
        response: responses({ 200: json(pageSchema(imageSchema), 'One page.') }, 'invalid_request'),
      },
    },
    async (request) => {
      const { tenant, status, created_after, created_before, warning } = request.query;
      const filter = {
        tenant,
        status,
        warning,
        facts: toFactsFilter(request.query),
        createdAfter: created_after === undefined ? undefined : new Date(created_after),
        createdBefore: created_before === undefined ? undefined : new Date(created_before),
      };
      const page = toPageRequest(request.query, pageSize);
      const principal = getPrincipal(request);
      return toPageRecord(await services.listImages(principal, filter, page), page, (image) =>
        toImageRecord(image, principal),
      );
    },
  );

  app.get(
    '/images/:id',
    {
      config: { access: 'retrieve.find' },
      schema: {
        tags,
        summary: 'Get an image',
        description: "Includes the image's status, the URLs of its renditions, and its near-duplicates.",
        params: imageParams,
        response: responses({ 200: json(imageSchema, 'The image.') }, 'invalid_request', 'image_not_found'),
      },
    },
    async (request) => {
      const principal = getPrincipal(request);
      return toImageRecord(await services.retrieve.find(principal, request.params.id), principal);
    },
  );

  app.delete(
    '/images/:id',
    {
      config: { access: 'deleteImage' },
      schema: {
        tags,
        summary: 'Delete an image',
        description:
          'As soon as an image is deleted, all of its URLs return 404. The files are kept until the image is purged. Until then, the image can be restored. An image with references is deleted only with `force=true`. Without `force`, the request fails with an error that lists the references.',
        params: imageParams,
        querystring: deleteQuery,
        response: responses({ 204: empty('Deleted.') }, 'invalid_request', 'image_not_found', 'image_in_use'),
      },
    },
    async (request, reply) => {
      const force = request.query.force === 'true';
      await services.deleteImage(getPrincipal(request), request.params.id, { force });
      return reply.code(204).send();
    },
  );

  app.post(
    '/images/:id/restore',
    {
      config: { access: 'restoreImage', isIdempotent: true },
      schema: {
        tags,
        summary: 'Restore a deleted image',
        description:
          'An image can be restored until it is purged. Restoring an image that is not deleted has no effect.',
        params: imageParams,
        response: responses(
          { 200: json(imageSchema, 'The image.') },
          'invalid_request',
          'quota_exceeded',
          'image_not_found',
        ),
      },
    },
    async (request) => {
      const principal = getPrincipal(request);
      return toImageRecord(await services.restoreImage(principal, request.params.id), principal);
    },
  );
};
