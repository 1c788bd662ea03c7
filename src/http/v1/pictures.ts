import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { makeGetCorsHeaders, setHeaders, withoutCorsPlugin } from '../guard/cors.ts';
import { identifyCaller } from '../overload/admit-requests.ts';
import { sendCachedRendition, sendOriginal, sendRendition } from '../responses/image-responses.ts';
import { imageParams, parseImageRef } from '../fields/fields.ts';
import { responses, originalResponses, renditionResponses } from '../openapi/responses.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';

/** Request types of the rendition routes. For speed, Fastify does not validate these parameters. */
interface RenditionRoute {
  readonly Params: { id: string; preset: string };
  /** A repeated query parameter arrives as an array. */
  readonly Querystring: { readonly v?: string | readonly string[] };
}
type RenditionRequest = FastifyRequest<RenditionRoute>;

/** Who may read renditions. */
const renditionAccess = { access: 'retrieve.rendition', acceptsLinks: true, publicImageParam: 'id' } as const;

/** Preset served by `/thumbnail`. */
const thumbnailPreset = 'thumb';

const recipeQuery = z.object({
  v: z
    .string()
    .optional()
    .describe(
      'Recipe, a hash of the rendition settings. With the current recipe, the response may be cached forever.',
    ),
});
/**
 * Query parameters of a signed link, which are verified before the route. They are not documented as parameters, because
 * clients use a link exactly as it was issued.
 */
const linkQuery = z.strictObject({
  expires: z.string().optional(),
  key: z.string().optional(),
  tenant: z.string().optional(),
  signature: z.string().optional(),
});
const tags = ['Pictures'];
const renditionRouteResponses = responses(
  renditionResponses,
  'invalid_request',
  'unknown_preset',
  'image_not_found',
  'rendition_not_ready',
  'overloaded',
);

/** Routes that serve originals and renditions. */
export const pictureRoutes: RoutePlugin = (app, { services, presets, admission, config: { server } }) => {
  app.get(
    '/images/:id/original',
    {
      config: { access: 'retrieve.original', acceptsLinks: true },
      schema: {
        tags,
        summary: 'Download the original',
        description: 'Returns the file byte for byte. Supports requests for a single byte range.',
        params: imageParams,
        querystring: linkQuery,
        documentedOnly: { querystring: z.object({}) },
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
        await services.retrieve.original(getPrincipal(request), request.params.id),
      ),
  );

  const getCorsHeaders = makeGetCorsHeaders(server);
  const serveRendition = (request: RenditionRequest, reply: FastifyReply, preset: string) => {
    const principal = getPrincipal(request);
    const { id } = request.params;
    const { v } = request.query;
    const recipe = typeof v === 'string' ? v : undefined;
    const cachedRendition = services.retrieve.cached(principal, id, preset);
    const headers = getCorsHeaders(request.headers.origin);
    if (cachedRendition) {
      const { rateLimitHeaders } = request;
      const extraHeaders = rateLimitHeaders ? [...headers, ...rateLimitHeaders] : headers;
      return sendCachedRendition(request, reply, cachedRendition, recipe, extraHeaders);
    }
    setHeaders(reply, headers);
    return admission
      .runColdRead(identifyCaller(request), () =>
        services.retrieve.rendition(principal, parseImageRef(id), preset),
      )
      .then((rendition) => sendRendition(request, reply, rendition, recipe));
  };

  app.get<RenditionRoute>(
    '/images/:id/renditions/:preset',
    {
      config: { ...withoutCorsPlugin, ...renditionAccess },
      schema: {
        tags,
        summary: 'Download a rendition',
        description:
          'Returns an upright sRGB JPEG without metadata. It is scaled down to fit the preset, but never enlarged. Transparency is composited on white.',
        documentedOnly: {
          params: imageParams.extend({ preset: z.string().describe('Name of a preset.') }),
          querystring: recipeQuery,
        },
        response: renditionRouteResponses,
      },
    },
    (request, reply) => serveRendition(request, reply, request.params.preset),
  );

  app.get<RenditionRoute>(
    '/images/:id/thumbnail',
    {
      config: { ...withoutCorsPlugin, ...renditionAccess },
      schema: {
        tags,
        summary: `Download the "${thumbnailPreset}" rendition`,
        description: `Returns the same file as \`renditions/${thumbnailPreset}\`, at a shorter URL.`,
        documentedOnly: { params: imageParams, querystring: recipeQuery },
        response: renditionRouteResponses,
      },
    },
    (request, reply) => {
      if (!presets.find(thumbnailPreset)) {
        setHeaders(reply, getCorsHeaders(request.headers.origin));
        throw new AppError(
          'unknown_preset',
          `There is no preset "${thumbnailPreset}", so there are no thumbnails.`,
        );
      }
      return serveRendition(request, reply, thumbnailPreset);
    },
  );
};
