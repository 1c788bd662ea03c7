import type { FastifyServerOptions } from 'fastify';
import { validatorCompiler } from './fields/validation.ts';

type SchemaController = NonNullable<FastifyServerOptions['schemaController']>;

/**
 * Makes Fastify validate requests with Zod. Given to Fastify when it is created, because it otherwise loads compilers of its own,
 * which would take 50 ms of each start.
 */
export const schemaController: SchemaController = {
  compilersFactory: {
    buildValidator: (() => validatorCompiler) as never,
    // Response schemas are only documentation; tests check responses against them. A response that violates its schema is still
    // more useful to the client than a 500.
    buildSerializer: () => () => (body: unknown) => JSON.stringify(body),
  },
};
