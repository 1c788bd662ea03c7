import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { jobStates } from '../../model/job.ts';
import { defaultTenant, isTenantName } from '../../model/tenant.ts';
import { replyFromMemory, replyOriginal, replyRendition } from '../image-replies.ts';
import { imageReference, readImageReference } from '../image-reference.ts';
import { principalOf } from '../principal.ts';
import type { Surface } from '../surface.ts';
import { imageRecord } from './image-record.ts';

const uploadQuery = z.strictObject({ mode: z.enum(['inline', 'queued']).default('inline') });
const time = z.iso.datetime({ offset: true, error: 'must be a time such as 2026-01-31T12:00:00Z' });
const listQuery = z.strictObject({
  tenant: z.string().refine(isTenantName, 'is no tenant name').optional(),
  status: z.enum(jobStates).optional(),
  created_after: time.optional(),
  created_before: time.optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
  offset: z.coerce.number().int().min(0).max(1_000_000).default(0),
});

/** Read without a schema: on the hottest route nothing is checked that a hit in memory does not need. */
interface RenditionRoute {
  readonly Params: { id: string; preset: string };
  readonly Querystring: { v?: string };
}
type RenditionRequest = FastifyRequest<RenditionRoute>;

/** The name of the preset that `/thumbnail` gives. */
const thumbnailPreset = 'thumb';

/** `/v1/images`: pictures in, pictures back. */
export const imageRoutes: Surface = (app, { services, receiveUploadForm, presets }) => {
  app.post('/images', { schema: { querystring: uploadQuery } }, async (request, reply) => {
    const { mode } = request.query;
    const { file, filename, fields } = await receiveUploadForm(request.raw);
    const tenantName = fields.get('tenant') ?? defaultTenant;
    const { outcome, image } = await services.ingestUpload(principalOf(request), {
      file,
      filename,
      tenantName,
      mode,
    });
    const finished = image.status === 'completed';
    return reply.code(outcome === 'known' ? 200 : finished ? 201 : 202).send(imageRecord(image));
  });

  app.get('/images', { schema: { querystring: listQuery } }, async (request) => {
    const { tenant, status, created_after, created_before, limit, offset } = request.query;
    const filter = {
      tenant,
      status,
      createdAfter: created_after === undefined ? undefined : new Date(created_after),
      createdBefore: created_before === undefined ? undefined : new Date(created_before),
    };
    const { items, total } = await services.listImages(principalOf(request), filter, { limit, offset });
    return { items: items.map(imageRecord), total, limit, offset };
  });

  app.get('/images/:id', { schema: { params: imageReference } }, async (request) =>
    imageRecord(await services.retrieve.find(principalOf(request), request.params.id)),
  );

  app.delete('/images/:id', { schema: { params: imageReference } }, async (request, reply) => {
    await services.deleteImage(principalOf(request), request.params.id);
    return reply.code(204).send();
  });

  app.get('/images/:id/original', { schema: { params: imageReference } }, async (request, reply) =>
    replyOriginal(request, reply, await services.retrieve.original(principalOf(request), request.params.id)),
  );

  const sendRendition = (request: RenditionRequest, reply: FastifyReply, preset: string) => {
    const principal = principalOf(request);
    const { id } = request.params;
    const { v: recipe } = request.query;
    const hit = services.retrieve.cached(principal, id, preset);
    if (hit) return replyFromMemory(request, reply, hit, recipe);
    return services.retrieve
      .rendition(principal, readImageReference(id), preset)
      .then((found) => replyRendition(request, reply, found, recipe));
  };

  app.get<RenditionRoute>('/images/:id/renditions/:preset', (request, reply) =>
    sendRendition(request, reply, request.params.preset),
  );

  app.get<RenditionRoute>('/images/:id/thumbnail', (request, reply) => {
    if (!presets.some(({ name }) => name === thumbnailPreset)) {
      throw new AppError(
        'unknown_preset',
        `There is no preset "${thumbnailPreset}" in PRESETS, so there are no thumbnails.`,
      );
    }
    return sendRendition(request, reply, thumbnailPreset);
  });
};
