import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import type { HttpConfig } from './surface.ts';

/** Headers beside the few that a browser always shows to a page of another origin. */
const exposedHeaders = [
  'accept-ranges',
  'allow',
  'content-disposition',
  'content-range',
  'etag',
  'location',
  'retry-after',
];

/** Browsers may keep the answer to a preflight for this long. */
const preflightSeconds = 600;

/** Lets pages of the configured origins call the API. Other origins get no header, so their browser refuses. */
export function allowOrigins(app: FastifyInstance, { corsOrigins }: HttpConfig['server']): void {
  app.register(cors, {
    origin: corsOrigins === '*' ? '*' : [...corsOrigins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    exposedHeaders,
    maxAge: preflightSeconds,
    // An OPTIONS request that is no preflight is answered like one; the other choice is an error in plain text.
    strictPreflight: false,
  });
}
