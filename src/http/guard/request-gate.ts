import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError, type ErrorCode } from '../../errors.ts';
import { isIpAddress, isLoopbackHost, parseHost } from '../../model/host.ts';
import type { HttpConfig } from '../surface.ts';

/** A check of every request, whatever its URL, before its body is read. */
interface Rule {
  readonly applies: (method: string) => boolean;
  /** Returns why the request is refused; `undefined` if it passes. */
  readonly refuse: (request: FastifyRequest) => string | undefined;
  readonly code: ErrorCode;
}

type ServerConfig = HttpConfig['server'];

/** Pages of other origins may send these, but cannot read the responses unless `CORS_ORIGINS` allows it. */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

const always = (): boolean => true;
const whenUnsafe = (method: string): boolean => !safeMethods.has(method);

/**
 * Refuses requests that a malicious web page sends through the browser of a visitor who can reach the server. Browsers
 * declare the host and the origin of the page. Other clients send neither `Origin` nor `Sec-Fetch-Site`, and pass.
 */
export function guardRequests(app: FastifyInstance, config: ServerConfig): void {
  const rules: readonly Rule[] = [
    { applies: always, refuse: makeRefuseHost(config), code: 'host_not_allowed' },
    { applies: whenUnsafe, refuse: makeRefuseOrigin(config), code: 'origin_not_allowed' },
    { applies: whenUnsafe, refuse: refuseOtherSite, code: 'origin_not_allowed' },
  ];
  app.addHook('onRequest', (request, _reply, done) => {
    for (const { applies, refuse, code } of rules) {
      const sentence = applies(request.method) ? refuse(request) : undefined;
      if (sentence !== undefined) {
        done(new AppError(code, sentence));
        return;
      }
    }
    done();
  });
}

/** Number of allowed `Host` values that are cached; clients use only a few. */
const maxCachedHosts = 200;

/**
 * Refuses unknown host names. A page whose own host name resolves to this machine (DNS rebinding) counts as same-origin
 * in its browser and could read everything, but its requests always contain that name. IP addresses cannot be rebound,
 * and a tunnel may change the port, so neither is checked.
 */
function makeRefuseHost({ isOnLoopback, allowedHosts }: ServerConfig): Rule['refuse'] {
  const isGuarded = (isOnLoopback || allowedHosts.length > 0) && !allowedHosts.includes('*');
  if (!isGuarded) return () => undefined;
  const cached = new Set<string>();

  function isAllowed(authority: string): boolean {
    if (cached.has(authority)) return true;
    const host = parseHost(authority);
    if (host === undefined || !isServedHost(host, allowedHosts)) return false;
    if (cached.size < maxCachedHosts) cached.add(authority);
    return true;
  }

  return ({ raw }) => {
    const refused = [targetAuthority(raw.url), raw.headers.host].find(
      // HTTP/1.0 allows requests without a host, but browsers always send one.
      (authority) => authority !== undefined && authority !== '' && !isAllowed(authority),
    );
    if (refused === undefined) return undefined;
    const reason = isOnLoopback ? 'it listens on loopback only' : 'it is not one of its host names';
    return `This server does not serve the host ${quote(refused)}: ${reason}. If clients should reach it under that name, add the name to ALLOWED_HOSTS or set PUBLIC_URL, then restart.`;
  };
}

function isServedHost(host: string, allowedHosts: readonly string[]): boolean {
  if (isIpAddress(host) || isLoopbackHost(host)) return true;
  return allowedHosts.some((allowed) =>
    allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) : host === allowed,
  );
}

/** The authority of an absolute-form target (`GET http://host/path`), which takes precedence over `Host`. */
function targetAuthority(target: string | undefined): string | undefined {
  if (target === undefined || target.startsWith('/') || target === '*') return undefined;
  return /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i.exec(target)?.[1];
}

/**
 * Refuses writes from pages of other origins, by `Origin`. `null` is the origin of local files and sandboxed frames; any
 * page can obtain it. `*` in `CORS_ORIGINS` does not allow writes.
 */
function makeRefuseOrigin({ corsOrigins, publicOrigin }: ServerConfig): Rule['refuse'] {
  const allowed = new Set(corsOrigins === '*' ? [] : corsOrigins);
  if (publicOrigin !== undefined) allowed.add(publicOrigin);
  return ({ raw }) => {
    const { origin, host } = raw.headers;
    if (origin === undefined || allowed.has(origin)) return undefined;
    if (isOriginOf(origin, targetAuthority(raw.url) ?? host)) return undefined;
    if (origin === 'null')
      return 'Pages with a null origin (local files, sandboxed frames) may not write: serve the page over HTTP and add its origin to CORS_ORIGINS.';
    const wildcard = corsOrigins === '*' ? ' (`*` in CORS_ORIGINS allows reads only)' : '';
    return `Pages of the origin ${quote(origin)} may not write${wildcard}. To allow them, add the origin to CORS_ORIGINS; if it is the origin of this server behind a proxy, set PUBLIC_URL. Then restart.`;
  };
}

/** Whether `origin` has the host name of the request. A proxy may terminate TLS, so the scheme is ignored. */
function isOriginOf(origin: string, authority: string | undefined): boolean {
  if (!authority || parseHost(authority) === undefined) return false;
  const page = URL.parse(origin);
  if (page === null || !/^https?:$/.test(page.protocol)) return false;
  // Parsed with the scheme of the origin, so that the default port may be present or absent.
  return page.host === URL.parse(`${page.protocol}//${authority}`)?.host;
}

/** Browsers send `Origin` with every unsafe request; some extensions remove it, but not this header. */
function refuseOtherSite({ raw }: FastifyRequest): string | undefined {
  const site = raw.headers['sec-fetch-site'];
  if (raw.headers.origin !== undefined || (site !== 'cross-site' && site !== 'same-site')) return undefined;
  return `A page of another origin sent this request (Sec-Fetch-Site: ${site}, without Origin); such pages may not write.`;
}

/** Quotes text of the client in a message, shortened. */
function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}

/**
 * Refuses requests with more than one `Host` header, as RFC 9112 §3.2 requires. Node uses the first; a proxy may have
 * used the last.
 */
export function refuseSeveralHosts(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, done) => {
    if (countHosts(request.raw.rawHeaders) > 1)
      done(
        new AppError('invalid_request', 'The request has more than one Host header; exactly one is allowed.'),
      );
    else done();
  });
}

/** `rawHeaders` alternates names and values. */
function countHosts(rawHeaders: readonly string[]): number {
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  return hosts;
}
