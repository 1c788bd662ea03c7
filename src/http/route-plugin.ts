import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Config } from '../config.ts';
import type { Authenticate } from '../services/access/authenticate.ts';
import type { BeginIdempotent } from '../services/access/idempotency.ts';
import type { Links } from '../services/access/links.ts';
import type { RequestLimiter } from '../services/limits/request-limiter.ts';
import type { SignedPaths } from '../services/access/signed-paths.ts';
import type { PublicDelivery } from '../services/access/public-delivery.ts';
import type { PresetsInForce } from '../services/presets-in-force.ts';
import type { Services } from '../services/services.ts';
import type { ServedMetrics } from '../telemetry/metrics.ts';
import type { BeginForm } from './guard/idempotency.ts';
import type { ReceiveUploadForm } from './bodies/upload-form.ts';
import type { Admission } from './overload/admission.ts';

/**
 * Configuration that the HTTP server needs: its own section, and the sections whose limits and defaults are visible to
 * clients.
 */
export type HttpConfig = Pick<Config, 'server' | 'uploads' | 'similarity' | 'purge' | 'delivery'> & {
  readonly access: Pick<Config['access'], 'mode'>;
};

/** Dependencies of the HTTP server. */
export interface HttpDependencies {
  readonly services: Services;
  /** Must not be called before the first request. */
  readonly presets: PresetsInForce;
  readonly authenticate: Authenticate;
  readonly links: Pick<Links, 'verify'>;
  readonly signedPaths: Pick<SignedPaths, 'verify'>;
  readonly requestLimiter: RequestLimiter;
  readonly publicDelivery: PublicDelivery;
  readonly beginIdempotent: BeginIdempotent;
  readonly receiveUploadForm: ReceiveUploadForm;
  readonly metrics: ServedMetrics;
  readonly admission: Admission;
}

/**
 * Dependencies of all routes. `/v1` and the dialects (two older APIs) use the same `services`, so that business rules
 * are not duplicated.
 */
export interface RouteDependencies extends HttpDependencies {
  readonly config: HttpConfig;
  readonly beginForm: BeginForm;
}

/** A Fastify instance whose route types are inferred from Zod schemas. */
export type ZodFastify = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** Registers routes on a Fastify instance. Routes contain no SQL, image processing or business rules. */
export type RoutePlugin = (app: ZodFastify, dependencies: RouteDependencies) => void;
