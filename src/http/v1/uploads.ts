import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ImageWithRenditions } from '../../model/image.ts';
import { defaultTenant, tenantName } from '../../model/tenant.ts';
import type { Ingested } from '../../services/ingest-upload.ts';
import { newReferenceField, tenantField, textField } from '../fields.ts';
import { readJsonBody } from '../json-body.ts';
import { answers, json } from '../openapi/answers.ts';
import { fileErrors, jsonBody, pictureForm } from '../openapi/bodies.ts';
import { principalOf } from '../principal.ts';
import type { Surface, SurfaceParts } from '../surface.ts';
import { bodyTypeOf } from '../unsupported-body.ts';
import { imageRecord, imageSchema } from './image-record.ts';
import { uploadFields } from './presigned-uploads.ts';

const uploadQuery = z.strictObject({
  mode: z
    .enum(['inline', 'queued'])
    .default('inline')
    .describe('`inline` answers when the renditions are there, `queued` at once. Uploads only.'),
});

/** Longest URL that is looked at; servers take less. */
const longestUrl = 8_192;

const urlBody = z.strictObject({
  url: textField(longestUrl).describe('Where the picture is: `http` or `https`.'),
  tenant: z.string().default(defaultTenant).meta({
    pattern: tenantName.source,
    description: 'Name of the tenant; `default` if it is missing.',
  }),
  reference: newReferenceField.optional(),
});

const sentBody = z.strictObject({
  upload: z.uuid().describe('`id` of an answer of `POST /v1/uploads`, once the file is there.'),
  ...uploadFields,
});

type PictureRequest = FastifyRequest<{ Querystring: z.output<typeof uploadQuery> }>;

/** `POST /v1/images`: a picture as a file, by its URL, or one that was sent to the store. */
export const uploadRoutes: Surface = (app, parts) => {
  const schema = {
    tags: ['Images'],
    summary: 'Add an image: upload a file, import a URL, or take in a presigned upload',
    description:
      'Safe to repeat: the same bytes of the same tenant are one image, and a URL that was imported before leads to its image (`DUPLICATE_HANDLING`).',
    querystring: uploadQuery,
    takes: { ...pictureForm({ tenant: tenantField.optional() }), ...jsonBody(z.union([urlBody, sentBody])) },
    response: answers(
      {
        200: json(imageSchema, 'Known: the tenant has this content or URL already.'),
        201: json(imageSchema, 'A new image; its renditions are there.'),
        202: json(imageSchema, 'Taken in; a worker goes on with it.'),
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

/** The two JSON bodies have different fields; which is meant is told by the one that only uploads have. */
function addByJson(parts: SurfaceParts, request: PictureRequest, reply: FastifyReply) {
  const { body } = request;
  const isSent = typeof body === 'object' && body !== null && 'upload' in body;
  return isSent ? takeInUpload(parts, request, reply) : importUrl(parts, request, reply);
}

async function takeInUpload({ services }: SurfaceParts, request: PictureRequest, reply: FastifyReply) {
  const { upload: id, tenant, filename } = readJsonBody(request, sentBody);
  const { mode } = request.query;
  const sent = { id, tenantName: tenant, filename, mode };
  return sendIngested(reply, await services.ingestPresigned(principalOf(request), sent));
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

function sendIngested(reply: FastifyReply, { outcome, image }: Pick<Ingested, 'outcome' | 'image'>) {
  const made = image.status === 'completed' ? 201 : 202;
  return sendImage(reply, outcome === 'known' ? 200 : made, image);
}

function sendImage(reply: FastifyReply, status: 200 | 201 | 202, image: ImageWithRenditions): FastifyReply {
  return reply.code(status).header('location', `/v1/images/${image.id}`).send(imageRecord(image));
}
