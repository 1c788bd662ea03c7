import { z } from 'zod';
import { readJsonBody } from '../bodies/json-body.ts';
import { imageParams } from '../fields/fields.ts';
import { jsonBody } from '../openapi/bodies.ts';
import { empty, json, responses } from '../openapi/responses.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';
import { focusSchema } from './image-record.ts';

const focusBody = z.strictObject(focusSchema.shape);

/** Routes that set and remove the focal point of an image. */
export const focusRoutes: RoutePlugin = (app, { services: { focalPoint } }) => {
  const tags = ['Images'];

  app.put(
    '/images/:id/focus',
    {
      config: { access: 'focalPoint.set' },
      schema: {
        tags,
        summary: 'Set the focal point of an image',
        description:
          'Presets with `"fit": "cover"` keep this point in view. Their renditions get new URLs, and are made again when they are next requested. Coordinates are rounded to four digits.',
        params: imageParams,
        bodies: jsonBody(focusBody),
        response: responses(
          { 200: json(focusSchema, 'The focal point.') },
          'invalid_request',
          'image_not_found',
        ),
      },
    },
    async (request) => {
      const point = readJsonBody(request, focusBody);
      const image = await focalPoint.set(getPrincipal(request), request.params.id, point);
      return image.focalPoint;
    },
  );

  app.delete(
    '/images/:id/focus',
    {
      config: { access: 'focalPoint.remove' },
      schema: {
        tags,
        summary: 'Remove the focal point of an image',
        description:
          'The `focus` of each preset decides again. Succeeds even if the image has no focal point.',
        params: imageParams,
        response: responses(
          { 204: empty('The image has no focal point.') },
          'invalid_request',
          'image_not_found',
        ),
      },
    },
    async (request, reply) => {
      await focalPoint.remove(getPrincipal(request), request.params.id);
      return reply.code(204).send();
    },
  );
};
