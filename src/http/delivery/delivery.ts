import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { parseIdOrUuid } from '../../model/image.ts';
import type { RenditionFormat } from '../../model/preset.ts';
import { parseRenditionName, type RenditionName } from '../../model/rendition-address.ts';
import type { Negotiated } from '../../services/delivery/deliver.ts';
import { makeFlights } from '../../services/delivery/flights.ts';
import { unknownVariant } from '../../services/delivery/variants.ts';
import type { RetrievedRendition } from '../../services/retrieve-image.ts';
import { rejectUndeclaredBodies } from '../bodies/body-type.ts';
import { withoutCorsPlugin } from '../guard/cors.ts';
import { deliveryResponses, responses } from '../openapi/responses.ts';
import { identifyCaller } from '../overload/admit-requests.ts';
import { getPrincipal } from '../principal.ts';
import type { RouteDependencies, RoutePlugin } from '../route-plugin.ts';
import { makeChooseFormats } from './accepted-formats.ts';
import { handleDeliveryErrors } from './delivery-errors.ts';
import { crossOriginHeaders, sendDelivered } from './send-delivered.ts';

/** Request types of the routes. For speed, Fastify does not validate the parameters. */
interface DeliveryRoute {
  readonly Params: { uuid: string; file: string };
}
type DeliveryRequest = FastifyRequest<DeliveryRoute>;

const access = ['deliver.cached', 'deliver.cachedNegotiated', 'deliver.load', 'deliver.negotiate'] as const;

const fileField = z
  .string()
  .describe(
    '`{preset}[@{density}x][.{recipe}][.{extension}]`. With a recipe, the content never changes. Without an extension, the format is chosen by `Accept`.',
  );
const uuidField = z
  .uuid()
  .describe('UUID of an image. Numeric ids are not accepted, because they can be guessed.');
const documentedParams = z.object({ uuid: uuidField, file: fileField });
const documentedSignedParams = documentedParams.extend({
  signature: z.string().describe('Signed part of a URL that `POST /v1/images/{id}/links` has returned.'),
});

const routeResponses = responses(
  deliveryResponses,
  'image_not_found',
  'unknown_variant',
  'rendition_not_ready',
  'overloaded',
);

const tags = ['Delivery'];
const description =
  'Returns the rendition of a preset in one of its formats. Makes it first if it does not exist yet. Never redirects.';

/** URLs for web pages and caches in front of them, mounted at `/i`. */
export const deliveryRoutes: RoutePlugin = (app, dependencies) => {
  const { presets, config } = dependencies;
  const serve = makeServe(dependencies);
  rejectUndeclaredBodies(app);
  handleDeliveryErrors(app, presets, config.delivery);
  app.addHook('onSend', (_request, reply, _payload, done) => {
    void reply.headers(crossOriginHeaders);
    done();
  });

  app.get<DeliveryRoute>(
    '/:uuid/:file',
    {
      config: { ...withoutCorsPlugin, access, publicImageParam: 'uuid' },
      schema: {
        tags,
        summary: 'Get a rendition for a web page',
        description,
        documentedOnly: { params: documentedParams, querystring: z.object({}) },
        response: routeResponses,
      },
    },
    serve,
  );
  app.get<DeliveryRoute>(
    '/s/:signature/:uuid/:file',
    {
      config: { ...withoutCorsPlugin, access, isSignedPath: true },
      schema: {
        tags,
        summary: 'Get a rendition with a signed URL',
        description,
        documentedOnly: { params: documentedSignedParams, querystring: z.object({}) },
        response: routeResponses,
      },
    },
    serve,
  );
};

/** Returns the handler of all routes. Renditions in memory are sent synchronously. */
function makeServe({ services, presets, admission }: RouteDependencies) {
  const { deliver } = services;
  const chooseFormats = makeChooseFormats();
  const flights = makeFlights<unknown>();

  /** Concurrent requests of callers who can see the same images share one load. It is aborted once all have disconnected. */
  async function load<T>(
    request: DeliveryRequest,
    reply: FastifyReply,
    variant: string,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { uuid, file } = request.params;
    const key = `${request.identity?.tenantId ?? ''}/${uuid}/${file}/${variant}`;
    const client = new AbortController();
    const disconnect = () => client.abort();
    reply.raw.once('close', disconnect);
    try {
      const start = (signal: AbortSignal) =>
        admission.runDelivery(identifyCaller(request), () => run(signal));
      return (await flights.join(key, client.signal, start)) as T;
    } finally {
      reply.raw.off('close', disconnect);
    }
  }

  function serveFormat(
    request: DeliveryRequest,
    reply: FastifyReply,
    uuid: string,
    name: RenditionName & { readonly format: RenditionFormat },
  ) {
    const principal = getPrincipal(request);
    const ref = { uuid, ...name };
    const isImmutable = name.recipe !== undefined;
    const send = (rendition: RetrievedRendition, isCurrent: boolean) =>
      sendDelivered(request, reply, rendition, {
        format: name.format,
        lifetime: isImmutable ? 'immutable' : isCurrent ? 'current' : 'interim',
        isNegotiated: false,
      });
    const cached = deliver.cached(principal, ref);
    if (cached) return send(cached, true);
    return load(request, reply, name.format, (signal) => deliver.load(principal, ref, signal)).then(
      (rendition) => send(rendition, rendition.isCurrent),
    );
  }

  function serveNegotiated(
    request: DeliveryRequest,
    reply: FastifyReply,
    uuid: string,
    { preset, density }: RenditionName,
  ) {
    const available = presets.find(preset)?.formats;
    if (!available) throw unknownVariant(presets.list(), { preset, density, format: 'jpeg' });
    const principal = getPrincipal(request);
    const formats = chooseFormats(request.headers.accept, available);
    const ref = { uuid, preset, density };
    const send = (rendition: RetrievedRendition & Negotiated) =>
      sendDelivered(request, reply, rendition, {
        format: rendition.format,
        lifetime: rendition.isFinal ? 'current' : 'interim',
        isNegotiated: true,
      });
    const cached = deliver.cachedNegotiated(principal, ref, formats);
    if (cached) return send(cached);
    return load(request, reply, formats.join(), (signal) =>
      deliver.negotiate(principal, ref, formats, signal),
    ).then(send);
  }

  return (request: DeliveryRequest, reply: FastifyReply) => {
    const { uuid, file } = request.params;
    if (hasTrailingSlash(request.url)) throw noRenditionName(`${file}/`);
    const ref = parseIdOrUuid(uuid);
    if (!ref || !('uuid' in ref)) throw noUuid(uuid);
    const name = parseRenditionName(file);
    if (!name) throw noRenditionName(file);
    const { format } = name;
    return format === undefined
      ? serveNegotiated(request, reply, ref.uuid, name)
      : serveFormat(request, reply, ref.uuid, { ...name, format });
  };
}

/** Elsewhere, a trailing slash is ignored. Here, each URL must have one spelling, under which caches keep its content. */
function hasTrailingSlash(url: string): boolean {
  const [path = ''] = url.split('?', 1);
  return path.endsWith('/');
}

function noUuid(text: string): AppError {
  return new AppError(
    'image_not_found',
    `There is no image ${JSON.stringify(text.slice(0, 40))}: URLs under /i/ contain the UUID of an image.`,
  );
}

function noRenditionName(file: string): AppError {
  return new AppError(
    'unknown_variant',
    `${JSON.stringify(file.slice(0, 80))} is not the name of a rendition. The form is {preset}[@{density}x][.{recipe}][.{extension}]; the extension is jpg, webp, avif or png.`,
  );
}
