import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ImageWithRenditions } from '../../model/image.ts';
import { defaultTenant, tenantNamePattern } from '../../model/tenant.ts';
import type { IngestResult } from '../../services/ingest-upload.ts';
import { newReferenceField, tenantFormField, textField } from '../fields/fields.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import { responses, json } from '../openapi/responses.ts';
import { fileErrors, jsonBody, pictureForm } from '../openapi/bodies.ts';
import { principalOf } from '../principal.ts';
import type { Surface, SurfaceParts } from '../surface.ts';
import { bodyTypeOf } from '../bodies/body-type.ts';
import { imageRecord, imageSchema } from './image-record.ts';
import { uploadFields } from './presigned-uploads.ts';

const uploadQuery = z.strictObject({
  mode: z
    .enum(['inline', 'queued'])
    .default('inline')
    .describe('`inline` responds once the renditions exist, `queued` immediately. Uploads only.'),
});

/** Longest URL that is accepted; the fetcher allows less. */
const maxUrlLength = 8_192;

const urlBody = z.strictObject({
  url: textField(maxUrlLength).describe('`http` or `https` URL of the image.'),
  tenant: z.string().default(defaultTenant).meta({
    pattern: tenantNamePattern.source,
    description: 'Name of the tenant.',
  }),
  reference: newReferenceField.optional(),
});

const presignedBody = z.strictObject({
  upload: z.uuid().describe('`id` from `POST /v1/uploads`, once the file is in the store.'),
  ...uploadFields,
});

type PictureRequest = FastifyRequest<{ Querystring: z.output<typeof uploadQuery> }>;

/** Route that adds an image: from a file, a URL or a presigned upload. */
export const uploadRoutes: Surface = (app, parts) => {
  const schema = {
    tags: ['Images'],
    summary: 'Add an image from a file, a URL or a presigned upload',
    description:
      'Safe to retry: uploading the same bytes again returns the existing image of the tenant. So does importing the same URL again, unless `DUPLICATE_HANDLING` says otherwise.',
    querystring: uploadQuery,
    bodies: {
      ...pictureForm({ tenant: tenantFormField }),
      ...jsonBody(z.union([urlBody, presignedBody])),
    },
    response: responses(
      {
        200: json(imageSchema, 'The tenant already has this content or URL.'),
        201: json(imageSchema, 'New image with its renditions.'),
        202: json(imageSchema, 'Accepted; a worker will process the image.'),
      },
      'invalid_request',
      'invalid_tenant',
      'invalid_url',
      'address_not_allowed',
      'tenant_not_found',
      'upload_not_found',
      'import_active',
      'upload_not_offered',
      ...fileErrors,
    ),
  };
  app.post('/images', { schema }, (request, reply) =>
    bodyTypeOf(request) === 'application/json'
      ? addByJson(parts, request, reply)
      : upload(parts, request, reply),
  );
};

async function upload(
  { services, receiveUploadForm }: SurfaceParts,
  request: PictureRequest,
  reply: FastifyReply,
) {
  const { mode } = request.query;
  const { file, filename, fields } = await receiveUploadForm(request.raw, ['tenant']);
  const tenantName = fields.get('tenant') ?? defaultTenant;
  const { outcome, image } = await services.ingestUpload(principalOf(request), {
    file,
    filename,
    tenantName,
    mode,
  });
  return sendIngested(reply, { outcome, image });
}

/** The field `upload` distinguishes the two JSON bodies. */
function addByJson(parts: SurfaceParts, request: PictureRequest, reply: FastifyReply) {
  const { body } = request;
  const isPresigned = typeof body === 'object' && body !== null && 'upload' in body;
  return isPresigned ? addPresigned(parts, request, reply) : importUrl(parts, request, reply);
}

async function addPresigned({ services }: SurfaceParts, request: PictureRequest, reply: FastifyReply) {
  const { upload: id, tenant, filename } = readJsonBody(request, presignedBody);
  const { mode } = request.query;
  const upload = { id, tenantName: tenant, filename, mode };
  return sendIngested(reply, await services.ingestPresigned(principalOf(request), upload));
}

async function importUrl({ services }: SurfaceParts, request: PictureRequest, reply: FastifyReply) {
  const { url, tenant, reference } = readJsonBody(request, urlBody);
  const { outcome, image } = await services.ingestUrls.one(principalOf(request), {
    url,
    tenantName: tenant,
    reference,
  });
  return sendImage(reply, outcome === 'known' ? 200 : 202, image);
}

function sendIngested(reply: FastifyReply, { outcome, image }: Pick<IngestResult, 'outcome' | 'image'>) {
  const newStatus = image.status === 'completed' ? 201 : 202;
  return sendImage(reply, outcome === 'known' ? 200 : newStatus, image);
}

function sendImage(reply: FastifyReply, status: 200 | 201 | 202, image: ImageWithRenditions): FastifyReply {
  return reply.code(status).header('location', `/v1/images/${image.id}`).send(imageRecord(image));
}
