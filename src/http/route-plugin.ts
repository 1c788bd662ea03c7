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

/** Configuration that HTTP needs: its own section, and those with defaults and limits that clients see. */
export type HttpConfig = Pick<Config, 'server' | 'uploads' | 'presets' | 'similarity' | 'purge'>;

/** Dependencies of the HTTP server. */
export interface HttpDependencies {
  readonly services: Services;
  readonly receiveUploadForm: ReceiveUploadForm;
  readonly metrics: ServedMetrics;
}

/** Dependencies of every API surface. They share the services, so that no rule is written twice. */
export interface RouteDependencies extends HttpDependencies {
  readonly config: HttpConfig;
}

/** A Fastify instance with Zod schemas. */
export type ZodFastify = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** Adds routes to an encapsulated instance. A surface contains no SQL, image processing or business rules. */
export type RoutePlugin = (app: ZodFastify, parts: RouteDependencies) => void;
