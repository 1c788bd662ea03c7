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

/** Sections of the configuration that HTTP needs: its own, and those whose values are defaults or told to clients. */
export type HttpConfig = Pick<Config, 'server' | 'uploads' | 'presets' | 'similarity' | 'purge'>;

/** What the HTTP server is made of. */
export interface HttpParts {
  readonly services: Services;
  readonly receiveUploadForm: ReceiveUploadForm;
  readonly metrics: ServedMetrics;
}

/** What every API surface is made of: the same services, so that no rule is written twice. */
export interface SurfaceParts extends HttpParts {
  readonly config: HttpConfig;
}

/** A Fastify instance whose schemas are Zod's. */
export type ZodFastify = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** Adds routes to an encapsulated instance. A surface holds no SQL, no image library and no rule. */
export type Surface = (app: ZodFastify, parts: SurfaceParts) => void;
