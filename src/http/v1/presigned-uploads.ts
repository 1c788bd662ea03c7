import { z } from 'zod';
import { defaultTenant, tenantName } from '../../model/tenant.ts';
import type { PresignedUpload } from '../../services/presigned-uploads.ts';
import { textField } from '../fields.ts';
import { readJsonBody } from '../json-body.ts';
import { answers, json } from '../openapi/answers.ts';
import { jsonBody } from '../openapi/bodies.ts';
import { principalOf } from '../principal.ts';
import type { Surface } from '../surface.ts';
import { offerExample } from './examples.ts';

/** A file name longer than this is not looked at; what is kept of it is less. */
const longestName = 1_000;

/** Fields that name a file and its tenant in JSON. */
export const uploadFields = {
  filename: textField(longestName).optional().describe('Name of the file.'),
  tenant: z.string().default(defaultTenant).meta({
    pattern: tenantName.source,
    description: 'Name of the tenant; `default` if it is missing.',
  }),
};

const offerBody = z.strictObject({
  size_bytes: z.int().min(1).describe('Exact size of the file; the store refuses another one.'),
  ...uploadFields,
});

const offerSchema = z
  .object({
    id: z.uuid().describe('To be sent to `POST /v1/images` as `upload` once the file is there.'),
    url: z.string().describe('Where to put the file.'),
    method: z.literal('PUT'),
    headers: z
      .record(z.string(), z.string())
      .describe('Headers to send with it. Most clients set `Content-Length` by themselves.'),
    expires_at: z.iso.datetime().describe('Until when the file may be put there.'),
    max_bytes: z.int().describe('Largest file that is taken (`MAX_UPLOAD_BYTES`).'),
  })
  .meta({ id: 'UploadOffer', examples: [offerExample] });

/** `POST /v1/uploads`: a place in the store for a file that is sent past this server. */
export const presignedUploadRoutes: Surface = (app, { services }) => {
  app.post(
    '/uploads',
    {
      schema: {
        tags: ['Images'],
        summary: 'Get an address to upload a picture to the store directly',
        description:
          'For hosts that limit the size of requests. Put the file to `url` with `headers`, then send its `id` to `POST /v1/images`. Needs `STORAGE_TYPE=s3`.',
        takes: jsonBody(offerBody),
        response: answers(
          { 201: json(offerSchema, 'Where to put the file.') },
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
      const wanted = { bytes, filename, tenantName: tenant };
      const offer = await services.presignUpload(principalOf(request), wanted);
      // The address lets whoever has it send a file.
      return reply.code(201).header('cache-control', 'no-store').send(offerRecord(offer));
    },
  );
};

function offerRecord({
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
