import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { makeCrossOriginHeaders, setHeaders, withoutCors } from '../guard/cors.ts';
import { sendCachedRendition, sendOriginal, sendRendition } from '../responses/image-responses.ts';
import { imageParams, parseImageRef } from '../fields/fields.ts';
import { responses, originalResponses, renditionResponses } from '../openapi/responses.ts';
import { principalOf } from '../principal.ts';
import type { Surface } from '../surface.ts';

/** Types of routes without a schema: the hottest route validates only what a cache hit needs. */
interface RenditionRoute {
  readonly Params: { id: string; preset: string };
  /** A repeated query parameter arrives as an array. */
  readonly Querystring: { readonly v?: string | readonly string[] };
}
type RenditionRequest = FastifyRequest<RenditionRoute>;

/** Preset served by `/thumbnail`. */
const thumbnailPreset = 'thumb';

const recipeQuery = z.object({
  v: z.string().optional().describe('Recipe. With the current recipe, the response may be cached forever.'),
});
const tags = ['Pictures'];
const renditionRouteResponses = responses(
  renditionResponses,
  'invalid_request',
  'unknown_preset',
  'image_not_found',
  'rendition_not_ready',
);

/** Routes that serve originals and renditions. */
export const pictureRoutes: Surface = (app, { services, config: { presets, server } }) => {
  app.get(
    '/images/:id/original',
    {
      schema: {
        tags,
        summary: 'Download the original',
        description: 'Returns the file byte for byte. Supports single byte ranges.',
        params: imageParams,
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
      sendOriginal(request, reply, await services.retrieve.original(principalOf(request), request.params.id)),
  );

  const crossOriginHeaders = makeCrossOriginHeaders(server);
  const serveRendition = (request: RenditionRequest, reply: FastifyReply, preset: string) => {
    const principal = principalOf(request);
    const { id } = request.params;
    const { v } = request.query;
    const recipe = typeof v === 'string' ? v : undefined;
    const hit = services.retrieve.cached(principal, id, preset);
    const headers = crossOriginHeaders(request.headers.origin);
    if (hit) return sendCachedRendition(request, reply, hit, recipe, headers);
    setHeaders(reply, headers);
    return services.retrieve
      .rendition(principal, parseImageRef(id), preset)
      .then((rendition) => sendRendition(request, reply, rendition, recipe));
  };

  app.get<RenditionRoute>(
    '/images/:id/renditions/:preset',
    {
      config: withoutCors,
      schema: {
        tags,
        summary: 'Download a rendition',
        description:
          'Returns an upright sRGB JPEG without metadata, with transparency composited on white, scaled to fit the preset and never enlarged.',
        documented: {
          params: imageParams.extend({ preset: z.string().describe('Name of a preset.') }),
          querystring: recipeQuery,
        },
        response: renditionRouteResponses,
      },
    },
    (request, reply) => serveRendition(request, reply, request.params.preset),
  );

  const hasThumbnails = presets.some(({ name }) => name === thumbnailPreset);
  app.get<RenditionRoute>(
    '/images/:id/thumbnail',
    {
      config: hasThumbnails ? withoutCors : {},
      schema: {
        tags,
        summary: `Download the rendition "${thumbnailPreset}"`,
        description: 'The same file as under `renditions`, at a shorter URL.',
        documented: { params: imageParams, querystring: recipeQuery },
        response: renditionRouteResponses,
      },
    },
    (request, reply) => {
      if (!hasThumbnails) {
        throw new AppError(
          'unknown_preset',
          `There is no preset "${thumbnailPreset}" in PRESETS, so there are no thumbnails.`,
        );
      }
      return serveRendition(request, reply, thumbnailPreset);
    },
  );
};
