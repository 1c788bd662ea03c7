import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError, type ErrorCode } from '../../errors.ts';
import { isIpAddress, isLoopbackHost, parseHost } from '../../model/host.ts';
import type { HttpConfig } from '../route-plugin.ts';

/** A check of all requests that have certain methods, regardless of the URL. It runs before the body is read. */
interface Rule {
  readonly appliesTo: (method: string) => boolean;
  /** Returns the reason for rejecting the request, or `undefined` if the request passes. */
  readonly getRejectionReason: (request: FastifyRequest) => string | undefined;
  readonly code: ErrorCode;
}

type ServerConfig = HttpConfig['server'];

/** Methods that pages from all origins may use. Only pages that `CORS_ORIGINS` allows can read the responses. */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

const isAnyMethod = (): boolean => true;
const isUnsafeMethod = (method: string): boolean => !safeMethods.has(method);

/**
 * Rejects requests that a malicious web page sends through the browser of a visitor who can reach the server. Browsers
 * declare the target host and the page's origin. Clients other than browsers send neither `Origin` nor
 * `Sec-Fetch-Site`, so they pass the origin checks.
 */
export function guardRequests(app: FastifyInstance, config: ServerConfig): void {
  const rules: readonly Rule[] = [
    { appliesTo: isAnyMethod, getRejectionReason: makeHostCheck(config), code: 'host_not_allowed' },
    { appliesTo: isUnsafeMethod, getRejectionReason: makeOriginCheck(config), code: 'origin_not_allowed' },
    { appliesTo: isUnsafeMethod, getRejectionReason: checkFetchSite, code: 'origin_not_allowed' },
  ];
  app.addHook('onRequest', (request, _reply, done) => {
    for (const { appliesTo, getRejectionReason, code } of rules) {
      const reason = appliesTo(request.method) ? getRejectionReason(request) : undefined;
      if (reason !== undefined) {
        done(new AppError(code, reason));
        return;
      }
    }
    done();
  });
}

/** Maximum number of cached `Host` values. Clients use only a few. */
const maxCachedHosts = 200;

/**
 * Returns a check that rejects unknown host names. An attacker can make the host name of a malicious page resolve to
 * this machine (DNS rebinding). The browser then treats this server as the page's own origin, so the page could read
 * every response. However, requests from the page always contain the page's host name. IP addresses are not checked,
 * because they cannot be rebound. Ports are not checked, because a tunnel may change them.
 */
function makeHostCheck({ isOnLoopback, allowedHosts }: ServerConfig): Rule['getRejectionReason'] {
  const isCheckEnabled = (isOnLoopback || allowedHosts.length > 0) && !allowedHosts.includes('*');
  if (!isCheckEnabled) return () => undefined;
  const cachedHosts = new Set<string>();

  function isAllowed(authority: string): boolean {
    if (cachedHosts.has(authority)) return true;
    const host = parseHost(authority);
    if (host === undefined || !isServedHost(host, allowedHosts)) return false;
    if (cachedHosts.size < maxCachedHosts) cachedHosts.add(authority);
    return true;
  }

  return ({ raw }) => {
    const rejectedHost = [getTargetAuthority(raw.url), raw.headers.host].find(
      // HTTP/1.0 allows requests without a host, but browsers always send one.
      (authority) => authority !== undefined && authority !== '' && !isAllowed(authority),
    );
    if (rejectedHost === undefined) return undefined;
    const reason = isOnLoopback ? 'it listens on loopback only' : 'it is configured for other host names';
    return `This server does not serve the host ${quote(rejectedHost)}: ${reason}. To allow this name, add it to ALLOWED_HOSTS or set PUBLIC_URL, then restart.`;
  };
}

function isServedHost(host: string, allowedHosts: readonly string[]): boolean {
  if (isIpAddress(host) || isLoopbackHost(host)) return true;
  return allowedHosts.some((allowedHost) =>
    allowedHost.startsWith('*.') ? host.endsWith(allowedHost.slice(1)) : host === allowedHost,
  );
}

/** Returns the authority of an absolute-form target (`GET http://host/path`), which takes precedence over `Host`. */
function getTargetAuthority(target: string | undefined): string | undefined {
  if (target === undefined || target.startsWith('/') || target === '*') return undefined;
  return /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i.exec(target)?.[1];
}

/**
 * Returns a check that rejects writes by pages from other origins, based on `Origin`. Local files and sandboxed
 * frames have the origin `null`, which any page can obtain. `*` in `CORS_ORIGINS` does not allow writes.
 */
function makeOriginCheck({ corsOrigins, publicOrigin }: ServerConfig): Rule['getRejectionReason'] {
  const allowedOrigins = new Set(corsOrigins === '*' ? [] : corsOrigins);
  if (publicOrigin !== undefined) allowedOrigins.add(publicOrigin);
  return ({ raw }) => {
    const { origin, host } = raw.headers;
    if (origin === undefined || allowedOrigins.has(origin)) return undefined;
    if (hasSameHost(origin, getTargetAuthority(raw.url) ?? host)) return undefined;
    if (origin === 'null')
      return 'Pages with a null origin (local files, sandboxed frames) may not write. Serve the page over HTTP, and add its origin to CORS_ORIGINS.';
    const wildcardHint = corsOrigins === '*' ? ' (`*` in CORS_ORIGINS allows reads only)' : '';
    return `Pages from the origin ${quote(origin)} may not write${wildcardHint}. To allow them, add the origin to CORS_ORIGINS or, if it is the public address of this server, set PUBLIC_URL. Then restart.`;
  };
}

/** Whether `origin` has the same host as the request. The scheme is ignored, because a proxy may terminate TLS. */
function hasSameHost(origin: string, authority: string | undefined): boolean {
  if (!authority || parseHost(authority) === undefined) return false;
  const pageUrl = URL.parse(origin);
  if (pageUrl === null || !/^https?:$/.test(pageUrl.protocol)) return false;
  // Both hosts are parsed with the same scheme, so that a missing port is equal to the default port.
  return pageUrl.host === URL.parse(`${pageUrl.protocol}//${authority}`)?.host;
}

/**
 * Rejects writes without `Origin` if `Sec-Fetch-Site` shows that a page from a different site sent them. Some browser
 * extensions remove only `Origin`.
 */
function checkFetchSite({ raw }: FastifyRequest): string | undefined {
  const site = raw.headers['sec-fetch-site'];
  if (raw.headers.origin !== undefined || (site !== 'cross-site' && site !== 'same-site')) return undefined;
  return `A page from a different origin sent this request (Sec-Fetch-Site: ${site}, without Origin). Pages from other origins may not write.`;
}

/** Quotes text from the client for a message. Truncates long text. */
function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}

/**
 * Rejects requests with more than one `Host` header, as RFC 9112 §3.2 requires. Node uses the first header, but a proxy
 * may have used the last one.
 */
export function rejectMultipleHosts(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, done) => {
    if (countHostHeaders(request.raw.rawHeaders) > 1)
      done(
        new AppError('invalid_request', 'The request has more than one Host header; exactly one is allowed.'),
      );
    else done();
  });
}

/** Counts `Host` headers. `rawHeaders` alternates names and values. */
function countHostHeaders(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === 4 && name.toLowerCase() === 'host') count += 1;
  }
  return count;
}
