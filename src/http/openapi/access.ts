import type { RouteOptions } from 'fastify';
import { z } from 'zod';
import type { ErrorCode } from '../../errors.ts';
import { challenges } from '../guard/api-key-header.ts';
import { listRouteScopes, needsAllScopes } from '../guard/authentication.ts';
import { idempotencyKeyPattern } from '../guard/idempotency.ts';

/** The two ways to send an API key. Both are headers, because URLs end up in logs, histories and `Referer` headers. */
export const securitySchemes = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key. Servers with `AUTH=open` need none.',
  },
  apiKey: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Api-Key',
    description: 'An API key, for clients that cannot set `Authorization`.',
  },
} as const;

const withKey = Object.keys(securitySchemes).map((name) => ({ [name]: [] }));

/** What the OpenAPI document says about who may call a route. It follows from what the server enforces. */
export interface AccessDescription {
  /** OpenAPI security requirements and extensions of the operation. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Errors of requests that may not call the route, or that repeat a request. */
  readonly errors: readonly ErrorCode[];
  /** Sentences to add to the description of the operation. */
  readonly sentences: readonly string[];
}

/** Describes who may call a route. */
export function describeAccess(route: RouteOptions): AccessDescription {
  const scopes = listRouteScopes(route);
  if (scopes.length === 0) return { fields: { security: [] }, errors: [], sentences: [] };
  if (route.config?.isSignedPath)
    return {
      fields: { security: [{}], 'x-needs-signature': true },
      errors: ['invalid_signature'],
      sentences: ['The signature in the path decides; an API key makes no difference.'],
    };
  const acceptsLinks = route.config?.acceptsLinks === true;
  const needsAll = needsAllScopes(route);
  const scopeNames = scopes.map((scope) => `\`${scope}\``).join(needsAll ? ' and ' : ' or ');
  return {
    fields: {
      // A link is not a security scheme, because a form for its signature would invite readers to put keys into URLs.
      security: acceptsLinks ? [...withKey, {}] : withKey,
      'x-required-scopes': scopes,
      ...(needsAll && { 'x-requires-all-scopes': true }),
      ...(acceptsLinks && { 'x-accepts-signed-links': true }),
    },
    errors: [
      'unauthenticated',
      'missing_scope',
      ...(acceptsLinks ? (['invalid_signature'] as const) : []),
      ...(isIdempotent(route) ? (['idempotency_conflict', 'idempotency_running'] as const) : []),
    ],
    sentences: [
      `Requires the ${needsAll ? 'scopes' : 'scope'} ${scopeNames}.`,
      ...(acceptsLinks ? ['A signed link (`POST /v1/images/{id}/links`) works without a key.'] : []),
    ],
  };
}

/** Schema of the headers that a route reads; `undefined` if it reads none. */
export function describeHeaders(route: RouteOptions): z.ZodObject | undefined {
  if (!isIdempotent(route)) return undefined;
  return z.object({
    'Idempotency-Key': z
      .string()
      .regex(idempotencyKeyPattern)
      .optional()
      .describe(
        'Makes the request safe to repeat: for 24 hours, the same request with the same key gets the first response, with `Idempotency-Replayed: true`.',
      ),
  });
}

function isIdempotent({ config }: RouteOptions): boolean {
  return config?.isIdempotent === true;
}

/** Headers of error responses, by status. */
const errorHeaders: Readonly<Record<string, Readonly<Record<string, object>>>> = {
  401: {
    'WWW-Authenticate': {
      type: 'string',
      enum: Object.values(challenges),
      description: 'How to send a key, and whether the request had one that is not valid (RFC 6750).',
    },
  },
};

/** Adds the headers of errors to responses that have been converted to JSON Schema. */
export function addErrorHeaders(
  responses: Readonly<Record<string, object>>,
): Readonly<Record<string, object>> {
  return Object.fromEntries(
    Object.entries(responses).map(([status, response]) => {
      const headers = errorHeaders[status];
      return [status, headers ? { ...response, headers } : response];
    }),
  );
}
