import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { makeCrossOriginHeaders, setHeaders, withoutCors } from '../guard/cors.ts';
import { replyFromMemory, replyOriginal, replyRendition } from '../responses/image-responses.ts';
import { imageRef, readImageReference } from '../image-ref.ts';
import { answers, originalAnswers, renditionAnswers } from '../openapi/responses.ts';
import { principalOf } from '../principal.ts';
import type { Surface } from '../surface.ts';

/** Read without a schema: on the hottest route nothing is checked that a hit in memory does not need. */
interface RenditionRoute {
  readonly Params: { id: string; preset: string };
  /** A repeated query parameter arrives as a list. */
  readonly Querystring: { readonly v?: string | readonly string[] };
}
type RenditionRequest = FastifyRequest<RenditionRoute>;

/** The name of the preset that `/thumbnail` gives. */
const thumbnailPreset = 'thumb';

const recipeQuery = z.object({
  v: z.string().optional().describe('Version of the recipe. With the current one the answer never changes.'),
});
const tags = ['Pictures'];
const ownAnswers = answers(
  renditionAnswers,
  'invalid_request',
  'unknown_preset',
  'image_not_found',
  'rendition_not_ready',
);

/** `/v1/images/…`: the pictures themselves. */
export const pictureRoutes: Surface = (app, { services, config: { presets, server } }) => {
  app.get(
    '/images/:id/original',
    {
      schema: {
        tags,
        summary: 'The original, whole or in part',
        description: 'Byte for byte as it was uploaded. Takes one byte range.',
        params: imageRef,
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
        await services.retrieve.original(principalOf(request), request.params.id),
      ),
  );

  const crossOriginHeaders = makeCrossOriginHeaders(server);
  const sendRendition = (request: RenditionRequest, reply: FastifyReply, preset: string) => {
    const principal = principalOf(request);
    const { id } = request.params;
    const { v } = request.query;
    const recipe = typeof v === 'string' ? v : undefined;
    const hit = services.retrieve.cached(principal, id, preset);
    const headers = crossOriginHeaders(request.headers.origin);
    if (hit) return replyFromMemory(request, reply, hit, recipe, headers);
    setHeaders(reply, headers);
    return services.retrieve
      .rendition(principal, readImageReference(id), preset)
      .then((found) => replyRendition(request, reply, found, recipe));
  };

  app.get<RenditionRoute>(
    '/images/:id/renditions/:preset',
    {
      config: withoutCors,
      schema: {
        tags,
        summary: 'A rendition',
        description:
          'A JPEG: upright, in sRGB, transparency on white, without metadata, inside the box of the preset and never enlarged.',
        documented: {
          params: imageRef.extend({ preset: z.string().describe('Name of a preset.') }),
          querystring: recipeQuery,
        },
        response: ownAnswers,
      },
    },
    (request, reply) => sendRendition(request, reply, request.params.preset),
  );

  const hasThumbnails = presets.some(({ name }) => name === thumbnailPreset);
  app.get<RenditionRoute>(
    '/images/:id/thumbnail',
    {
      config: hasThumbnails ? withoutCors : {},
      schema: {
        tags,
        summary: `The rendition "${thumbnailPreset}"`,
        description: 'A short address for lists; the same picture as under `renditions`.',
        documented: { params: imageRef, querystring: recipeQuery },
        response: ownAnswers,
      },
    },
    (request, reply) => {
      if (!hasThumbnails) {
        throw new AppError(
          'unknown_preset',
          `There is no preset "${thumbnailPreset}" in PRESETS, so there are no thumbnails.`,
        );
      }
      return sendRendition(request, reply, thumbnailPreset);
    },
  );
};
