import { Readable } from 'node:stream';
import { create as contentDisposition } from 'content-disposition';
import type { FastifyReply, FastifyRequest } from 'fastify';
import parseRange from 'range-parser';
import { AppError } from '../../errors.ts';
import { mediaTypes } from '../../model/picture.ts';
import { cacheHeadersFor } from '../guard/authentication.ts';
import { securityHeaders } from '../guard/security-headers.ts';
import type { CachedRendition } from '../../services/rendition-cache.ts';
import type { Redirect, RetrievedOriginal, RetrievedRendition } from '../../services/retrieve-image.ts';

/** `Cache-Control` for URLs with the current recipe (a hash of the rendition settings). Their content never changes. */
export const immutableCacheControl = 'public, max-age=31536000, immutable';

/** `Cache-Control` for all other URLs. The image can be deleted, and its renditions can be recreated. */
const revalidatingCacheControl = 'public, no-cache';

/** The security headers of all responses, with a policy that also prevents scripts in a file. */
export const imageSecurityHeaders = {
  ...securityHeaders,
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
};

const flatSecurityHeaders = Object.entries(imageSecurityHeaders).flat();

/** Sends a rendition. `recipe` is the recipe in the URL, if any. */
export async function sendRendition(
  request: FastifyRequest,
  reply: FastifyReply,
  retrieved: RetrievedRendition,
  recipe: string | undefined,
): Promise<FastifyReply> {
  if ('body' in retrieved)
    return sendCachedRendition(request, reply, retrieved, recipe, getReplyHeaders(reply));
  if ('redirect' in retrieved)
    return sendRedirect(request, reply, retrieved.redirect, {
      contentType: mediaTypes[retrieved.format],
    });
  const { etag, rendition } = retrieved;
  void reply.headers({
    ...imageSecurityHeaders,
    etag,
    'cache-control': recipe === rendition.recipe ? immutableCacheControl : revalidatingCacheControl,
  });
  if (isNotModified(request.headers['if-none-match'], etag)) return reply.code(304).send();
  void reply.header('content-type', mediaTypes[rendition.format]);
  return sendStream(request, reply, rendition.bytes, retrieved.open);
}

/**
 * Sends a cached rendition. `recipe` is the recipe in the URL, if any. `extraHeaders` is a flat array of names and values.
 */
export function sendCachedRendition(
  request: FastifyRequest,
  reply: FastifyReply,
  rendition: CachedRendition,
  recipe: string | undefined,
  extraHeaders: readonly string[],
): FastifyReply {
  const cacheControl = recipe === rendition.recipe ? immutableCacheControl : revalidatingCacheControl;
  return sendFromMemory(request, reply, rendition, {
    cacheControl,
    contentType: mediaTypes[rendition.format],
    extraHeaders,
  });
}

/** How a file is sent. */
interface FileHeaders {
  /** The value for a response that everyone may read. */
  readonly cacheControl: string;
  readonly contentType: string;
  /** Flat array of names and values. */
  readonly extraHeaders: readonly string[];
}

/**
 * Sends a file from memory. This is the most frequent response, so it bypasses Fastify's serialization and header objects
 * (`npm run bench:read` shows the effect). `onResponse` hooks still run.
 */
export function sendFromMemory(
  request: FastifyRequest,
  reply: FastifyReply,
  { body, etag }: Pick<CachedRendition, 'body' | 'etag'>,
  { cacheControl: publicCacheControl, contentType, extraHeaders }: FileHeaders,
): FastifyReply {
  reply.hijack();
  const { cacheControl, vary } = cacheHeadersFor(request, publicCacheControl);
  const headers = ['etag', etag, 'cache-control', cacheControl, ...flatSecurityHeaders, ...extraHeaders];
  if (vary) headers.push('vary', vary);
  if (isNotModified(request.headers['if-none-match'], etag)) {
    reply.raw.writeHead(304, headers).end();
    return reply;
  }
  headers.push('content-type', contentType, 'content-length', String(body.length));
  reply.raw.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : body);
  return reply;
}

/** Returns the headers that hooks have set, such as CORS headers, as a flat array of names and values. */
function getReplyHeaders(reply: FastifyReply): string[] {
  return Object.entries(reply.getHeaders()).flatMap(([name, value]) => [name, String(value)]);
}

/** Sends an original or a byte range of it. */
export async function sendOriginal(
  request: FastifyRequest,
  reply: FastifyReply,
  retrieved: RetrievedOriginal,
): Promise<FastifyReply> {
  const { image, etag, bytes, redirect } = retrieved;
  const contentType = image.format ? mediaTypes[image.format] : 'application/octet-stream';
  const disposition = contentDisposition(image.filename ?? `${image.id}`, { type: 'inline' });
  if (redirect)
    return sendRedirect(request, reply, redirect, { contentType, contentDisposition: disposition });
  void reply.headers({
    ...imageSecurityHeaders,
    etag,
    'cache-control': revalidatingCacheControl,
    'accept-ranges': 'bytes',
    'content-type': contentType,
    'content-disposition': disposition,
  });
  if (isNotModified(request.headers['if-none-match'], etag)) return reply.code(304).send();
  const range = readRange(request, reply, etag, bytes);
  if (!range) return sendStream(request, reply, bytes, () => retrieved.open());
  const { start: first, end: last } = range;
  void reply.code(206).header('content-range', `bytes ${first}-${last}/${bytes}`);
  return sendStream(request, reply, last - first + 1, () => retrieved.open({ first, last }));
}

/**
 * Redirects the client to the object store, which sends the file with `headers`. Only private caches may store the
 * redirect, because its URL is signed.
 */
async function sendRedirect(
  { method, linkSecondsLeft }: FastifyRequest,
  reply: FastifyReply,
  redirect: Redirect,
  headers: { readonly contentType: string; readonly contentDisposition?: string },
): Promise<FastifyReply> {
  const { url: location, maxAgeSeconds } = await redirect.createUrl(
    { ...headers, method: method === 'HEAD' ? 'HEAD' : 'GET' },
    linkSecondsLeft,
  );
  return reply
    .code(302)
    .headers({ location, 'cache-control': `private, max-age=${maxAgeSeconds}` })
    .send();
}

/** Sends a file of `length` bytes as a stream. */
export async function sendStream(
  request: FastifyRequest,
  reply: FastifyReply,
  length: number,
  open: () => Promise<Readable>,
): Promise<FastifyReply> {
  void reply.header('content-length', length);
  // Fastify overwrites `content-length` unless the body is a stream.
  if (request.method === 'HEAD') return reply.send(Readable.from([]));
  return reply.send(await open());
}

/** Whether `If-None-Match` matches the current ETag (weak comparison, RFC 9110 §13.1.2). */
export function isNotModified(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  return header.split(',').some((candidate) => candidate.trim().replace(/^W\//, '') === etag);
}

/** Returns the requested range. Ignores multiple ranges and unknown units, as RFC 9110 §14.2 allows. */
function readRange(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  etag: string,
  bytes: number,
): { start: number; end: number } | undefined {
  const isStale = headers['if-range'] !== undefined && headers['if-range'] !== etag;
  if (headers.range === undefined || isStale) return undefined;
  // A suffix longer than the file selects the whole file (RFC 9110 §14.1.2), but the parser rejects such a suffix.
  if (Number(/^bytes=-(\d+)$/.exec(headers.range)?.[1]) >= bytes) return { start: 0, end: bytes - 1 };
  const ranges = parseRange(bytes, headers.range, { combine: true });
  if (ranges === -1) {
    void reply.header('content-range', `bytes */${bytes}`);
    throw new AppError(
      'range_not_satisfiable',
      `The range ${headers.range.slice(0, 80)} is outside the file, whose size is ${bytes} bytes.`,
    );
  }
  if (ranges === -2 || ranges.type !== 'bytes' || ranges.length !== 1) return undefined;
  return ranges[0];
}
