import { z } from 'zod';
import { imageRefField, tenantFormField } from '../../fields/fields.ts';
import { sendOriginal, sendRendition } from '../../responses/image-responses.ts';
import { identifyCaller } from '../../overload/admit-requests.ts';
import { responses, json, originalResponses, renditionResponses } from '../../openapi/responses.ts';
import { fileErrors, pictureForm } from '../../openapi/bodies.ts';
import { getPrincipal } from '../../principal.ts';
import type { RoutePlugin } from '../../route-plugin.ts';
import {
  toAssetRecord,
  assetSchema,
  toComparisonRecord,
  comparisonSchema,
  toUploadRecord,
  uploadSchema,
} from './records.ts';

const assetParams = z.object({ asset_id: imageRefField });
const renditionParams = assetParams.extend({ preset: z.string().max(64).describe('Name of a preset.') });
const tags = ['Catalog dialect'];

/** Image routes of the catalog dialect, the API of an older catalog service. The dialect calls an image an asset. */
export const assetRoutes: RoutePlugin = (app, { services, receiveUploadForm, beginForm, admission }) => {
  app.post(
    '/upload',
    {
      config: { access: 'ingestUpload', isIdempotent: true, isQueued: true },
      schema: {
        tags,
        summary: 'Upload an image',
        description:
          'A worker creates the renditions. If the tenant already has an image with the same bytes, `status` is `exists` and there is no job.',
        bodies: pictureForm({ tenant_name: tenantFormField }),
        response: responses(
          {
            200: json(
              uploadSchema,
              '`status` is `uploaded`, or `exists` if the tenant already had the image.',
            ),
          },
          'invalid_request',
          'invalid_tenant',
          'quota_exceeded',
          ...fileErrors,
          'picture_rejected',
        ),
      },
    },
    async (request) => {
      const form = await receiveUploadForm(request.raw, ['tenant_name']);
      const { file, filename } = form;
      const tenantName = form.fields.get('tenant_name');
      await beginForm(request, form, tenantName);
      return toUploadRecord(
        await services.ingestUpload(getPrincipal(request), { file, filename, tenantName, mode: 'queued' }),
      );
    },
  );

  app.get(
    '/retrieve/asset/:asset_id',
    {
      config: { access: 'retrieve.find' },
      schema: {
        tags,
        summary: 'Get an asset with its renditions',
        description: 'After an upload, poll this endpoint until it lists the renditions.',
        params: assetParams,
        response: responses({ 200: json(assetSchema, 'The asset.') }, 'invalid_request', 'image_not_found'),
      },
    },
    async (request) =>
      toAssetRecord(await services.retrieve.find(getPrincipal(request), request.params.asset_id)),
  );

  app.get(
    '/retrieve/original/:asset_id',
    {
      config: { access: 'retrieve.original' },
      schema: {
        tags,
        summary: 'Download the original',
        description: 'Returns the file byte for byte. Supports requests for a single byte range.',
        params: assetParams,
        response: responses(
          originalResponses,
          'invalid_request',
          'image_not_found',
          'rendition_not_ready',
          'original_missing',
          'range_not_satisfiable',
        ),
      },
    },
    async (request, reply) =>
      sendOriginal(
        request,
        reply,
        await services.retrieve.original(getPrincipal(request), request.params.asset_id),
      ),
  );

  app.get(
    '/retrieve/rendition/:asset_id/:preset',
    {
      // Links lead to `/v1` only, so a signature in this URL is always wrong.
      config: { access: 'retrieve.rendition', acceptsLinks: true, publicImageParam: 'asset_id' },
      schema: {
        tags,
        summary: 'Download a rendition',
        params: renditionParams,
        response: responses(
          renditionResponses,
          'invalid_request',
          'unknown_preset',
          'image_not_found',
          'rendition_not_ready',
          'overloaded',
        ),
      },
    },
    async (request, reply) => {
      const { asset_id: image, preset } = request.params;
      return sendRendition(
        request,
        reply,
        await admission.runColdRead(identifyCaller(request), () =>
          services.retrieve.rendition(getPrincipal(request), image, preset),
        ),
        undefined,
      );
    },
  );

  app.post(
    '/compare/:asset_id',
    {
      config: { access: 'compareWithImage' },
      schema: {
        tags,
        summary: 'Compare an asset with a file',
        description: 'Compares the original and each rendition with the uploaded file, which is not stored.',
        params: assetParams,
        bodies: pictureForm(),
        response: responses(
          { 200: json(comparisonSchema, 'Comparison with the original and with each rendition.') },
          'invalid_request',
          'image_not_found',
          'rendition_not_ready',
          ...fileErrors,
        ),
      },
    },
    async (request) => {
      const { file } = await receiveUploadForm(request.raw);
      const { asset_id: image } = request.params;
      return toComparisonRecord(await services.compareWithImage(getPrincipal(request), image, file));
    },
  );
};
