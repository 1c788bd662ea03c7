import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Config } from '../config.ts';
import type { Services } from '../services/services.ts';
import type { ServedMetrics } from '../telemetry/metrics.ts';
import type { ReceiveUploadForm } from './bodies/upload-form.ts';

/** Configuration that HTTP needs: the server section, and the sections with defaults and limits that clients see. */
export type HttpConfig = Pick<Config, 'server' | 'uploads' | 'presets' | 'similarity' | 'purge'>;

/** Dependencies of the HTTP server. */
export interface HttpDependencies {
  readonly services: Services;
  readonly receiveUploadForm: ReceiveUploadForm;
  readonly metrics: ServedMetrics;
}

/** Dependencies of all routes. `/v1` and the dialects share the services, so that no rule is written twice. */
export interface RouteDependencies extends HttpDependencies {
  readonly config: HttpConfig;
}

/** A Fastify instance whose route types are inferred from Zod schemas. */
export type ZodFastify = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** Registers routes on an encapsulated instance. Routes contain no SQL, image processing or business rules. */
export type RoutePlugin = (app: ZodFastify, dependencies: RouteDependencies) => void;
