import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { renditionFormats } from '../../model/preset.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import { imageParams } from '../fields/fields.ts';
import { jsonBody } from '../openapi/bodies.ts';
import { json, responses } from '../openapi/responses.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';

/** Longest time for which a link works: seven days. */
const maxExpirySeconds = 7 * 86_400;

const linkBody = z.strictObject({
  preset: z.string().max(64).describe('Name of a preset, or `original` for the original.'),
  format: z
    .enum(renditionFormats)
    .optional()
    .describe('One of the formats of the preset. Without it, `delivery_url` chooses the format by `Accept`.'),
  density: z.int().min(1).max(4).optional().describe('Pixel density of `delivery_url`; 1 if absent.'),
  expires_in: z
    .int()
    .min(1)
    .max(maxExpirySeconds)
    .describe('Seconds until the link expires. If the key of the caller expires earlier, so does the link.'),
});
const linkSchema = z.object({
  url: z
    .string()
    .describe(
      'Signed URL; only its path and query if `PUBLIC_URL` is not set. Works without a key, exactly as it is.',
    ),
  delivery_url: z
    .string()
    .optional()
    .describe(
      'Signed URL under `/i/`, without a query: ends with the extension of the format. Absent for originals.',
    ),
  expires_at: z.iso.datetime(),
});

/** Routes that create signed links. */
export const linkRoutes: RoutePlugin = (app, { services, config }) => {
  app.post(
    '/images/:id/links',
    {
      config: { access: ['links.toRendition', 'links.toOriginal'], isIdempotent: true },
      schema: {
        tags: ['Access'],
        summary: 'Create a signed link to a picture',
        description:
          'Web pages can show the picture without a key until the link expires, at the latest with the key of the caller. The caller needs the scope that reading the picture needs: `images.read`, or `originals.read` for the original. A link to a deleted image stops working immediately.',
        params: imageParams,
        bodies: jsonBody(linkBody),
        response: responses(
          { 201: json(linkSchema, 'The link.') },
          'invalid_request',
          'unknown_preset',
          'image_not_found',
        ),
      },
    },
    async (request, reply) => {
      const { preset, format, density, expires_in } = readJsonBody(request, linkBody);
      const [principal, { id }] = [getPrincipal(request), request.params];
      const origin = config.server.publicOrigin ?? '';
      if (preset === 'original') {
        if (format !== undefined || density !== undefined)
          throw new AppError('invalid_request', 'An original has neither a format nor a density to choose.');
        const link = await services.links.toOriginal(principal, id, expires_in);
        return sendLink(reply, { url: `${origin}${link.path}`, expires_at: link.expiresAt.toISOString() });
      }
      const rendition = { preset, format, density };
      const link = await services.links.toRendition(principal, id, rendition, expires_in);
      return sendLink(reply, {
        url: `${origin}${link.path}`,
        delivery_url: `${origin}${link.deliveryPath}`,
        expires_at: link.expiresAt.toISOString(),
      });
    },
  );
};

function sendLink(reply: FastifyReply, link: z.input<typeof linkSchema>): FastifyReply {
  return reply.code(201).header('cache-control', 'no-store').send(link);
}
