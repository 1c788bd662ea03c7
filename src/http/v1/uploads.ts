import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ImageWithRenditions } from '../../model/image.ts';
import { tenantNamePattern } from '../../model/tenant.ts';
import type { IngestResult } from '../../services/ingest-upload.ts';
import { newReferenceField, tenantDefault, tenantFormField, textField } from '../fields/fields.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import { responses, json } from '../openapi/responses.ts';
import { fileErrors, jsonBody, pictureForm } from '../openapi/bodies.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin, RouteDependencies } from '../route-plugin.ts';
import { readBodyType } from '../bodies/body-type.ts';
import { imageSchema, makeToImageRecord, type ToImageRecord } from './image-record.ts';
import { uploadFields } from './presigned-uploads.ts';

const uploadQuery = z.strictObject({
  mode: z
    .enum(['inline', 'queued'])
    .default('inline')
    .describe(
      'With `inline`, the response is sent once the renditions exist. With `queued`, the response is sent immediately. Imports ignore this parameter.',
    ),
});

/** Maximum length of a URL in the body. The import service has a lower limit. */
const maxUrlLength = 8_192;

const urlBody = z.strictObject({
  url: textField(maxUrlLength).describe('`http` or `https` URL of the image.'),
  tenant: z.string().optional().meta({
    pattern: tenantNamePattern.source,
    description: tenantDefault,
  }),
  reference: newReferenceField.optional(),
});

const presignedBody = z.strictObject({
  upload: z.uuid().describe('`id` from `POST /v1/uploads`. The file must already be in the store.'),
  ...uploadFields,
});

/** Dependencies of the route, and the conversion of its responses. */
type Dependencies = RouteDependencies & { readonly toImageRecord: ToImageRecord };

type AddRequest = FastifyRequest<{ Querystring: z.output<typeof uploadQuery> }>;

/** Route that adds an image from a file, a URL or a presigned upload. */
export const uploadRoutes: RoutePlugin = (app, routeDependencies) => {
  const dependencies = { ...routeDependencies, toImageRecord: makeToImageRecord(routeDependencies) };
  const schema = {
    tags: ['Images'],
    summary: 'Add an image from a file, a URL or a presigned upload',
    description:
      "Safe to retry. Uploading the same bytes again returns the tenant's existing image. By default, importing the same URL again also returns the existing image (see `DUPLICATE_HANDLING`).",
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
      'quota_exceeded',
      'import_active',
      'import_quota_exceeded',
      'upload_not_offered',
      ...fileErrors,
      'picture_rejected',
    ),
  };
  app.post(
    '/images',
    { config: { access: ['ingestUpload', 'ingestUrls.one'], isIdempotent: true }, schema },
    (request, reply) =>
      readBodyType(request) === 'application/json'
        ? addFromJson(dependencies, request, reply)
        : uploadFile(dependencies, request, reply),
  );
};

async function uploadFile(
  { services, receiveUploadForm, beginForm, toImageRecord }: Dependencies,
  request: AddRequest,
  reply: FastifyReply,
) {
  const { mode } = request.query;
  const form = await receiveUploadForm(request.raw, ['tenant']);
  const { file, filename } = form;
  const tenantName = form.fields.get('tenant');
  await beginForm(request, form, tenantName);
  const { outcome, image } = await services.ingestUpload(getPrincipal(request), {
    file,
    filename,
    tenantName,
    mode,
  });
  return sendIngestResult(reply, toImageRecord, { outcome, image });
}

/** Handles both kinds of JSON body. Only the body for a presigned upload has the `upload` field. */
function addFromJson(dependencies: Dependencies, request: AddRequest, reply: FastifyReply) {
  const { body } = request;
  const isPresigned = typeof body === 'object' && body !== null && 'upload' in body;
  return isPresigned
    ? addPresignedUpload(dependencies, request, reply)
    : importUrl(dependencies, request, reply);
}

async function addPresignedUpload(
  { services, toImageRecord }: Dependencies,
  request: AddRequest,
  reply: FastifyReply,
) {
  const { upload: id, tenant, filename } = readJsonBody(request, presignedBody);
  const { mode } = request.query;
  const upload = { id, tenantName: tenant, filename, mode };
  return sendIngestResult(
    reply,
    toImageRecord,
    await services.ingestPresigned(getPrincipal(request), upload),
  );
}

async function importUrl(
  { services, admission, toImageRecord }: Dependencies,
  request: AddRequest,
  reply: FastifyReply,
) {
  admission.assertQueueIsShort('import', getPrincipal(request).tenantId);
  const { url, tenant, reference } = readJsonBody(request, urlBody);
  const { outcome, image } = await services.ingestUrls.one(getPrincipal(request), {
    url,
    tenantName: tenant,
    reference,
  });
  return sendImage(reply, toImageRecord, outcome === 'known' ? 200 : 202, image);
}

function sendIngestResult(
  reply: FastifyReply,
  toImageRecord: ToImageRecord,
  { outcome, image }: Pick<IngestResult, 'outcome' | 'image'>,
) {
  const newImageStatus = image.status === 'completed' ? 201 : 202;
  return sendImage(reply, toImageRecord, outcome === 'known' ? 200 : newImageStatus, image);
}

function sendImage(
  reply: FastifyReply,
  toImageRecord: ToImageRecord,
  status: 200 | 201 | 202,
  image: ImageWithRenditions,
): FastifyReply {
  return reply
    .code(status)
    .header('location', `/v1/images/${image.id}`)
    .send(toImageRecord(image, getPrincipal(reply.request)));
}
