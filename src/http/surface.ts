import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Preset } from '../model/preset.ts';
import type { Services } from '../services/services.ts';
import type { ReceiveUploadForm } from './multipart.ts';

/** What every API surface is made of: the same services, so that no rule is written twice. */
export interface SurfaceParts {
  readonly services: Services;
  readonly receiveUploadForm: ReceiveUploadForm;
  readonly presets: readonly Preset[];
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
