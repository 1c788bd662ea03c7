import type { FastifyReply, FastifyRequest } from 'fastify';
import { mediaTypes } from '../../model/picture.ts';
import type { RenditionFormat } from '../../model/preset.ts';
import type { RetrievedRendition } from '../../services/retrieve-image.ts';
import {
  imageSecurityHeaders,
  immutableCacheControl,
  isNotModified,
  sendFromMemory,
  sendStream,
} from '../responses/image-responses.ts';

/**
 * Headers of every response under `/i/`, so that pages of any origin can show the renditions and read their pixels in
 * scripts.
 */
export const crossOriginHeaders = {
  'cross-origin-resource-policy': 'cross-origin',
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'etag, retry-after, vitrine-error, vitrine-placeholder',
} as const;

const flatCrossOriginHeaders = Object.entries(crossOriginHeaders).flat();
const negotiatedHeaders = [...flatCrossOriginHeaders, 'vary', 'Accept'];

/**
 * `Cache-Control` by what the URL guarantees:
 * - `immutable`: its content never changes.
 * - `current`: its content changes with the preset, the focal point or the image. Caches may serve the stale response
 *   while they revalidate it, so that no client waits.
 * - `interim`: the response is a substitute for a file that is being made.
 */
const cacheControls = {
  immutable: immutableCacheControl,
  current: 'public, max-age=300, stale-while-revalidate=86400',
  interim: 'public, max-age=10',
} as const;

/** How a rendition is sent. */
export interface DeliveryForm {
  readonly format: RenditionFormat;
  readonly lifetime: keyof typeof cacheControls;
  /** Whether the format was chosen by `Accept`. */
  readonly isNegotiated: boolean;
}

/** Sends a rendition that the service has found, from memory or as a stream. URLs under `/i/` never redirect. */
export function sendDelivered(
  request: FastifyRequest,
  reply: FastifyReply,
  rendition: RetrievedRendition,
  { format, lifetime, isNegotiated }: DeliveryForm,
): FastifyReply | Promise<FastifyReply> {
  const cacheControl = cacheControls[lifetime];
  const contentType = mediaTypes[format];
  if ('body' in rendition)
    return sendFromMemory(request, reply, rendition, {
      cacheControl,
      contentType,
      extraHeaders: [
        ...(isNegotiated ? negotiatedHeaders : flatCrossOriginHeaders),
        ...(request.rateLimitHeaders ?? []),
      ],
    });
  if ('redirect' in rendition) throw new Error('URLs under /i/ never redirect.');
  const { etag } = rendition;
  void reply.headers({ ...imageSecurityHeaders, etag, 'cache-control': cacheControl });
  if (isNegotiated) void reply.header('vary', 'Accept');
  if (isNotModified(request.headers['if-none-match'], etag)) return reply.code(304).send();
  void reply.header('content-type', contentType);
  return sendStream(request, reply, rendition.rendition.bytes, rendition.open);
}
