import { z } from 'zod';
import { tenantNamePattern } from '../../model/tenant.ts';
import type { PresignedUpload } from '../../services/presigned-uploads.ts';
import { tenantDefault, textField } from '../fields/fields.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import { responses, json } from '../openapi/responses.ts';
import { jsonBody } from '../openapi/bodies.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';
import { offerExample } from './examples.ts';

/** Maximum length of a file name in a request. Long names are truncated before they are stored. */
const maxFilenameLength = 1_000;

/** JSON fields for the file name and the tenant. */
export const uploadFields = {
  filename: textField(maxFilenameLength).optional().describe('Name of the file.'),
  tenant: z.string().optional().meta({
    pattern: tenantNamePattern.source,
    description: tenantDefault,
  }),
};

const offerBody = z.strictObject({
  size_bytes: z
    .int()
    .min(1)
    .describe('Exact size of the file, in bytes. The store rejects a file of any other size.'),
  ...uploadFields,
});

const offerSchema = z
  .object({
    id: z.uuid().describe('Value to send to `POST /v1/images` as `upload` once the file is in the store.'),
    url: z.string().describe('URL to send the file to.'),
    method: z.literal('PUT'),
    headers: z
      .record(z.string(), z.string())
      .describe('Headers to send with the file. Most clients set `Content-Length` themselves.'),
    expires_at: z.iso.datetime().describe('When the URL expires.'),
    max_bytes: z.int().describe('Maximum file size (`MAX_UPLOAD_BYTES`).'),
  })
  .meta({ id: 'UploadOffer', examples: [offerExample] });

/** Route that creates presigned URLs, so that uploads can bypass this server. */
export const presignedUploadRoutes: RoutePlugin = (app, { services }) => {
  app.post(
    '/uploads',
    {
      config: { access: 'presignUpload', isIdempotent: true },
      schema: {
        tags: ['Images'],
        summary: 'Create a presigned URL to upload an image directly to the store',
        description:
          'For hosting platforms that limit the size of requests. Send the file to `url` with `headers`, then send `id` to `POST /v1/images` as `upload`. Requires `STORAGE_TYPE=s3`.',
        bodies: jsonBody(offerBody),
        response: responses(
          { 201: json(offerSchema, 'URL to send the file to.') },
          'invalid_request',
          'invalid_tenant',
          'upload_not_offered',
          'body_too_large',
          'unsupported_body',
        ),
      },
    },
    async (request, reply) => {
      const { size_bytes: bytes, filename, tenant } = readJsonBody(request, offerBody);
      const offer = await services.presignUpload(getPrincipal(request), {
        bytes,
        filename,
        tenantName: tenant,
      });
      // The response must not be cached, because anyone who knows the URL can upload a file.
      return reply.code(201).header('cache-control', 'no-store').send(toOfferRecord(offer));
    },
  );
};

function toOfferRecord({
  id,
  url,
  headers,
  expiresAt,
  maxBytes,
}: PresignedUpload): z.output<typeof offerSchema> {
  return {
    id,
    url,
    method: 'PUT',
    headers: { ...headers },
    expires_at: expiresAt.toISOString(),
    max_bytes: maxBytes,
  };
}
