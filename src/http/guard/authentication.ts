import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { Scope } from '../../model/access.ts';
import { parseIdOrUuid } from '../../model/image.ts';
import { type Identity, isEveryone } from '../../model/principal.ts';
import {
  listRequiredScopes,
  missingScopeError,
  type UseCase,
} from '../../services/access/required-scopes.ts';
import type { VerifiedLink } from '../../services/access/signatures.ts';
import type { HttpDependencies } from '../route-plugin.ts';
import { explainUnauthenticated, readKey } from './api-key-header.ts';
import type { RequestLimits } from './request-limits.ts';

/**
 * Who may call a route: `open` for everyone, otherwise callers with the scope of one of the use cases that the route calls.
 * A scope is named directly if the route calls no use case.
 */
export type RouteAccess = 'open' | UseCase | Scope | readonly (UseCase | Scope)[];

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Every route must set this. */
    readonly access?: RouteAccess;
    /** Whether a signed link can be used instead of a key. */
    readonly acceptsLinks?: boolean;
    /** Whether the path is signed. Then the signature alone decides, and a key makes no difference. */
    readonly isSignedPath?: true;
    /** Path parameter with the image, if everyone may read the picture at its UUID where the delivery is public. */
    readonly publicImageParam?: string;
  }
  interface FastifyRequest {
    /** The caller; `null` on open routes. */
    identity: Identity | null;
    /** Seconds until the signed link of the request expires; `null` without a link. */
    linkSecondsLeft: number | null;
  }
}

type Dependencies = Pick<HttpDependencies, 'authenticate' | 'links' | 'signedPaths' | 'publicDelivery'> & {
  readonly limits: RequestLimits;
};

/**
 * Rejects requests without a valid API key or signed link, without the scope that the route needs, or beyond the limits on
 * requests, before their body is read. Services check the scope again, because a route may call several use cases.
 * @throws {Error} at startup if a route does not declare who may call it.
 */
export function authenticateRequests(app: FastifyInstance, dependencies: Dependencies): void {
  app.decorateRequest('identity', null);
  app.decorateRequest('linkSecondsLeft', null);
  app.decorateRequest('rateLimitHeaders', null);
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => {
    routes.push(route);
    const hooks = [route.onRequest ?? []].flat();
    // Read when the first request arrives, because the hooks of a plugin may still change the route.
    let scopes: readonly Scope[] | undefined;
    route.onRequest = [
      (request, reply, done) => {
        scopes ??= listRouteScopes(route);
        if (scopes.length === 0) done();
        else checkCaller(dependencies, scopes, request, reply, done);
      },
      ...hooks,
    ];
  });
  app.addHook('onReady', (done) => {
    for (const route of routes) listRouteScopes(route);
    done();
  });
}

/**
 * Returns the scopes of which a caller of the route needs one; empty if the route is open. If `needsAllScopes` is true of the
 * route, its service checks that the caller has all of them.
 */
export function listRouteScopes({ method, url, config }: RouteOptions): readonly Scope[] {
  const access = config?.access;
  // Preflight requests carry no credentials (Fetch standard), and their responses contain no data.
  if (access === 'open' || method === 'OPTIONS') return [];
  if (access === undefined)
    throw new Error(`The route ${String(method)} ${url} does not declare who may call it (config.access).`);
  return [...new Set([access].flat().flatMap((name) => toScopes(name)))];
}

/** Whether callers of the route need all of its scopes, because it calls one use case that needs several. */
export function needsAllScopes({ config }: Pick<RouteOptions, 'config'>): boolean {
  const access = config?.access;
  return typeof access === 'string' && (listRequiredScopes(access)?.length ?? 0) > 1;
}

function toScopes(name: UseCase | Scope): readonly Scope[] {
  const scopes = listRequiredScopes(name) ?? [name as Scope];
  if (scopes.length === 0)
    throw new Error(`The use case ${name} is open, so its route must declare itself as open.`);
  return scopes;
}

function checkCaller(
  dependencies: Dependencies,
  scopes: readonly Scope[],
  request: FastifyRequest,
  reply: FastifyReply,
  done: (error?: Error) => void,
): void {
  const accept = (identity: Identity) => {
    request.identity = identity;
    done(missingScopeError(identity, scopes));
  };
  const identity = identify(dependencies, scopes, request, reply);
  // Most callers are known already. A promise would delay their requests.
  if (identity instanceof Promise) identity.then(accept, done);
  else accept(identity);
}

/** Returns who sent a request, and counts the request towards the limits of its key or address. */
function identify(
  dependencies: Dependencies,
  scopes: readonly Scope[],
  request: FastifyRequest,
  reply: FastifyReply,
): Identity | Promise<Identity> {
  const { publicDelivery, limits } = dependencies;
  if (request.routeOptions.config.isSignedPath) return verifySignedPath(dependencies, scopes, request, reply);
  const linkIdentity = verifyLink(dependencies, scopes, request, reply);
  if (linkIdentity) return linkIdentity;
  const uuid = readPublicUuid(request);
  if (uuid === undefined) return verifyKey(dependencies, request, reply);
  // Where everyone may read the picture, a key makes no difference, so that caches need not distinguish callers.
  const everyone = publicDelivery.cached(uuid);
  if (everyone === null) return verifyKey(dependencies, request, reply);
  if (everyone === undefined) return identifyReader(dependencies, uuid, request, reply);
  limits.countAddress(request, reply);
  return everyone;
}

/** Returns who asks for a picture that may be public, if the database must decide. */
async function identifyReader(
  dependencies: Dependencies,
  uuid: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<Identity> {
  const { authenticate, publicDelivery, limits } = dependencies;
  const key = readKey(request);
  const hasKnownKey = authenticate.cached(key) !== undefined;
  // Counted before the database is asked, because anyone can make up UUIDs.
  if (!hasKnownKey) limits.countAddress(request, reply);
  const everyone = await publicDelivery.find(uuid);
  if (!everyone)
    return key === undefined
      ? verifyWithoutKey(dependencies, request)
      : verifyKey(dependencies, request, reply);
  if (hasKnownKey) limits.countAddress(request, reply);
  return everyone;
}

/** Returns the owner of a request's key. Requests without a valid key count by their address. */
function verifyKey(
  { authenticate, limits }: Dependencies,
  request: FastifyRequest,
  reply: FastifyReply,
): Identity | Promise<Identity> {
  const key = readKey(request);
  const count = (identity: Identity) => {
    limits.countCaller(request, reply, identity);
    return identity;
  };
  const identity = authenticate.cached(key);
  if (identity) return count(identity);
  if (key !== undefined)
    return limits.verifyKey(request, reply, key).then(count, (error: unknown) => {
      throw explainUnauthenticated(request, error);
    });
  limits.countAddress(request, reply);
  return verifyWithoutKey({ authenticate }, request);
}

/** Accepts a request without a key if keys are not required. */
async function verifyWithoutKey(
  { authenticate }: Pick<Dependencies, 'authenticate'>,
  request: FastifyRequest,
): Promise<Identity> {
  try {
    return await authenticate.verify(undefined);
  } catch (error) {
    throw explainUnauthenticated(request, error);
  }
}

/** Returns the caller of a request with a signed link. Such requests count by their address. */
function verifyLink(
  { links, limits }: Dependencies,
  [scope]: readonly Scope[],
  request: FastifyRequest,
  reply: FastifyReply,
): Identity | undefined {
  if (!request.routeOptions.config.acceptsLinks || scope === undefined) return undefined;
  let link: ReturnType<typeof links.verify>;
  try {
    link = links.verify(request.method, request.raw.url ?? '', scope);
  } catch (error) {
    limits.countAddress(request, reply);
    throw error;
  }
  if (!link) return undefined;
  limits.countAddress(request, reply);
  request.linkSecondsLeft = link.secondsLeft;
  return link.identity;
}

/** Returns the caller of a request whose path is signed. Such requests count by their address. */
function verifySignedPath(
  { signedPaths, limits }: Dependencies,
  [scope]: readonly Scope[],
  request: FastifyRequest,
  reply: FastifyReply,
): Identity | Promise<Identity> {
  limits.countAddress(request, reply);
  if (scope === undefined) throw new Error('A route with a signed path needs a scope.');
  const accept = ({ identity, secondsLeft }: VerifiedLink) => {
    request.linkSecondsLeft = secondsLeft;
    return identity;
  };
  const link = signedPaths.verify(request.method, request.raw.url ?? '', scope);
  return link instanceof Promise ? link.then(accept) : accept(link);
}

/** Returns the UUID in the path of a route whose pictures may be public. A number can be guessed, so it needs a key. */
function readPublicUuid({ params, routeOptions }: FastifyRequest): string | undefined {
  const name = routeOptions.config.publicImageParam;
  if (name === undefined) return undefined;
  const ref = parseIdOrUuid((params as Record<string, string>)[name] ?? '');
  return ref && 'uuid' in ref ? ref.uuid : undefined;
}

/** Longest time for which caches may keep the response to a signed link, so that a deleted image soon disappears. */
const maxLinkCacheSeconds = 300;

/** Headers that decide whether and for how long caches may keep a response. */
export interface CacheHeaders {
  readonly cacheControl: string;
  /** Request headers that the response depends on; empty if it does not depend on the caller. */
  readonly vary: string;
}

/**
 * Returns the cache headers of a response to this caller. What needed a key is private; what needed a signed link is not
 * kept for longer than the link works.
 * @param publicCacheControl the value for a response that everyone may read
 */
export function cacheHeadersFor(
  { identity, linkSecondsLeft }: Pick<FastifyRequest, 'identity' | 'linkSecondsLeft'>,
  publicCacheControl: string,
): CacheHeaders {
  if (linkSecondsLeft !== null) {
    // A redirect to the object store, which must expire before the URL that it contains.
    if (isPrivate(publicCacheControl)) return { cacheControl: publicCacheControl, vary: '' };
    const seconds = Math.min(linkSecondsLeft, maxLinkCacheSeconds, readMaxAge(publicCacheControl));
    return { cacheControl: `public, max-age=${seconds}`, vary: '' };
  }
  if (identity === null || isEveryone(identity)) return { cacheControl: publicCacheControl, vary: '' };
  return { cacheControl: toPrivate(publicCacheControl), vary: 'Authorization, X-Api-Key' };
}

/** Returns how long a response may be kept, in seconds. Without a limit, the link is the only one. */
function readMaxAge(cacheControl: string): number {
  return Number(/\bmax-age=(\d+)/.exec(cacheControl)?.[1] ?? Number.POSITIVE_INFINITY);
}

function isPrivate(cacheControl: string): boolean {
  return /\b(?:private|no-store)\b/.test(cacheControl);
}

function toPrivate(cacheControl: string): string {
  if (isPrivate(cacheControl)) return cacheControl;
  return `private, ${cacheControl.replace(/\bpublic, */, '')}`;
}

/** Sets the cache headers of responses that depend on the caller. Responses that bypass Fastify do this themselves. */
export function limitCaching(app: FastifyInstance): void {
  app.addHook('onSend', (request, reply, _payload, done) => {
    const isError = reply.statusCode >= 400;
    const { cacheControl, vary } = cacheHeadersFor(
      isError ? { identity: request.identity, linkSecondsLeft: null } : request,
      String(reply.getHeader('cache-control') ?? 'no-cache'),
    );
    void reply.header('cache-control', cacheControl);
    if (vary) void reply.header('vary', [reply.getHeader('vary'), vary].filter(Boolean).join(', '));
    done();
  });
}
