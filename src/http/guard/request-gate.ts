import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError, type ErrorCode } from '../../errors.ts';
import { isAddress, isLoopbackHost, parseHost } from '../../model/host.ts';
import type { HttpConfig } from '../surface.ts';

/** Checks that apply to every request, for any URL, before its body is read. */
interface Rule {
  /** Which requests it checks. */
  readonly applies: (method: string) => boolean;
  /** Why the request is refused; `undefined` if it passes. */
  readonly refuse: (request: FastifyRequest) => string | undefined;
  readonly code: ErrorCode;
}

type ServerConfig = HttpConfig['server'];

/** Safe methods: pages of other origins cannot read the responses, unless `CORS_ORIGINS` allows it. */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

const always = (): boolean => true;
const whenUnsafe = (method: string): boolean => !safeMethods.has(method);

/**
 * The gate of all surfaces. A web page can send requests to servers that only its visitor can reach; browsers declare
 * the host and the page's origin. Clients other than browsers send neither `Origin` nor `Sec-Fetch-Site`, and pass.
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

/** Cached spellings of allowed hosts; clients use only a few. */
const rememberedHosts = 200;

/**
 * Refuses unknown host names. A page whose own host name resolves to this machine (DNS rebinding) counts as same-origin
 * in its browser and could read everything, but its requests always contain that name. IP addresses cannot be rebound,
 * and a tunnel may change the port, so neither is checked.
 */
function makeRefuseHost({ isOnLoopback, allowedHosts }: ServerConfig): Rule['refuse'] {
  const isGuarded = (isOnLoopback || allowedHosts.length > 0) && !allowedHosts.includes('*');
  if (!isGuarded) return () => undefined;
  const known = new Set<string>();

  function isAllowed(authority: string): boolean {
    if (known.has(authority)) return true;
    const host = parseHost(authority);
    if (host === undefined || !isServed(host, allowedHosts)) return false;
    if (known.size < rememberedHosts) known.add(authority);
    return true;
  }

  return ({ raw }) => {
    const refused = [targetAuthority(raw.url), raw.headers.host].find(
      // HTTP/1.0 allows requests without a host, but browsers always send one.
      (authority) => authority !== undefined && authority !== '' && !isAllowed(authority),
    );
    if (refused === undefined) return undefined;
    const where = isOnLoopback ? 'it listens on this machine only' : 'it is not among its host names';
    return `This server does not answer to the host ${shown(refused)}: ${where}. If clients are meant to reach it under that name, add the name to ALLOWED_HOSTS, or set PUBLIC_URL, and start again.`;
  };
}

function isServed(host: string, allowedHosts: readonly string[]): boolean {
  if (isAddress(host) || isLoopbackHost(host)) return true;
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
 * Refuses writes from pages of other origins, by `Origin`. `null` is the origin of pages such as local files and
 * sandboxed frames, and any page can obtain it. `*` in `CORS_ORIGINS` does not allow writes.
 */
function makeRefuseOrigin({ corsOrigins, publicOrigin }: ServerConfig): Rule['refuse'] {
  const named = new Set(corsOrigins === '*' ? [] : corsOrigins);
  if (publicOrigin !== undefined) named.add(publicOrigin);
  return ({ raw }) => {
    const { origin, host } = raw.headers;
    if (origin === undefined || named.has(origin)) return undefined;
    if (isOriginOf(origin, targetAuthority(raw.url) ?? host)) return undefined;
    if (origin === 'null')
      return 'A page without an origin (a local file, or a sandboxed frame) may not change anything here: serve it over HTTP, and name its origin in CORS_ORIGINS.';
    const star = corsOrigins === '*' ? ' (`*` in CORS_ORIGINS lets pages read only)' : '';
    return `A page of the origin ${shown(origin)} may not change anything here${star}. If it is meant to, name the origin in CORS_ORIGINS; if it is this server's own, seen through a proxy, set PUBLIC_URL; and start again.`;
  };
}

/**
 * Whether `origin` is the server's own, under the host name of the request. A proxy may terminate TLS, so the scheme is
 * ignored.
 */
function isOriginOf(origin: string, authority: string | undefined): boolean {
  if (!authority || parseHost(authority) === undefined) return false;
  const page = URL.parse(origin);
  if (page === null || !/^https?:$/.test(page.protocol)) return false;
  // Parsed with the scheme of the origin, so that its default port may be written or omitted.
  return page.host === URL.parse(`${page.protocol}//${authority}`)?.host;
}

/** Browsers send `Origin` with every unsafe request; some extensions remove it, but not this header. */
function refuseOtherSite({ raw }: FastifyRequest): string | undefined {
  const site = raw.headers['sec-fetch-site'];
  if (raw.headers.origin !== undefined || (site !== 'cross-site' && site !== 'same-site')) return undefined;
  return `The browser says that a page of another origin sent this (Sec-Fetch-Site: ${site}), and not of which one; such pages may not change anything here.`;
}

/** A client-supplied value, shortened for a message. */
function shown(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
