import { z } from 'zod';
import { defaultTenant } from '../../../model/tenant.ts';
import { tenantField } from '../../fields/fields.ts';
import { replyOriginal, replyRendition } from '../../responses/image-responses.ts';
import { imageRefText } from '../../image-ref.ts';
import { answers, json, originalAnswers, renditionAnswers } from '../../openapi/responses.ts';
import { fileErrors, pictureForm } from '../../openapi/bodies.ts';
import { principalOf } from '../../principal.ts';
import type { Surface } from '../../surface.ts';
import {
  assetRecord,
  assetSchema,
  comparisonRecord,
  comparisonSchema,
  uploadRecord,
  uploadSchema,
} from './records.ts';

const asset = z.object({ asset_id: imageRefText });
const assetAndPreset = asset.extend({ preset: z.string().max(64).describe('Name of a preset.') });
const tags = ['Catalog dialect'];

/** Pictures in the catalog dialect. */
export const assetRoutes: Surface = (app, { services, receiveUploadForm }) => {
  app.post(
    '/upload',
    {
      schema: {
        tags,
        summary: 'Upload a picture; a worker makes its renditions',
        description: 'The same bytes of the same tenant are one asset: `exists`, and no job.',
        takes: pictureForm({ tenant_name: tenantField.optional() }),
        response: answers(
          { 200: json(uploadSchema, '`uploaded`, or `exists` for known content.') },
          'invalid_request',
          'invalid_tenant',
          ...fileErrors,
        ),
      },
    },
    async (request) => {
      const { file, filename, fields } = await receiveUploadForm(request.raw, ['tenant_name']);
      const tenantName = fields.get('tenant_name') ?? defaultTenant;
      return uploadRecord(
        await services.ingestUpload(principalOf(request), { file, filename, tenantName, mode: 'queued' }),
      );
    },
  );

  app.get(
    '/retrieve/asset/:asset_id',
    {
      schema: {
        tags,
        summary: 'An asset with its renditions',
        description: 'Poll it after an upload until its status is `completed` or `failed`.',
        params: asset,
        response: answers({ 200: json(assetSchema, 'The asset.') }, 'invalid_request', 'image_not_found'),
      },
    },
    async (request) =>
      assetRecord(await services.retrieve.find(principalOf(request), request.params.asset_id)),
  );

  app.get(
    '/retrieve/original/:asset_id',
    {
      schema: {
        tags,
        summary: 'The original',
        description: 'Byte for byte as it was uploaded. Takes one byte range.',
        params: asset,
        response: answers(
          originalAnswers,
          'invalid_request',
          'image_not_found',
          'rendition_not_ready',
          'original_missing',
          'range_not_satisfiable',
        ),
      },
    },
    async (request, reply) =>
      replyOriginal(
        request,
        reply,
        await services.retrieve.original(principalOf(request), request.params.asset_id),
      ),
  );

  app.get(
    '/retrieve/rendition/:asset_id/:preset',
    {
      schema: {
        tags,
        summary: 'A rendition',
        params: assetAndPreset,
        response: answers(
          renditionAnswers,
          'invalid_request',
          'unknown_preset',
          'image_not_found',
          'rendition_not_ready',
        ),
      },
    },
    async (request, reply) => {
      const { asset_id: reference, preset } = request.params;
      return replyRendition(
        request,
        reply,
        await services.retrieve.rendition(principalOf(request), reference, preset),
        undefined,
      );
    },
  );

  app.post(
    '/compare/:asset_id',
    {
      schema: {
        tags,
        summary: 'How an asset differs from a picture',
        description: 'The picture is not kept. Tells figures for the original and for each rendition.',
        params: asset,
        takes: pictureForm(),
        response: answers(
          { 200: json(comparisonSchema, 'The original and each rendition.') },
          'invalid_request',
          'image_not_found',
          'rendition_not_ready',
          ...fileErrors,
        ),
      },
    },
    async (request) => {
      const { file } = await receiveUploadForm(request.raw);
      const { asset_id: reference } = request.params;
      return comparisonRecord(await services.compareWithImage(principalOf(request), reference, file));
    },
  );
};
