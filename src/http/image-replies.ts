import { Readable } from 'node:stream';
import { create as contentDisposition } from 'content-disposition';
import type { FastifyReply, FastifyRequest } from 'fastify';
import parseRange from 'range-parser';
import { AppError } from '../errors.ts';
import { mediaTypes } from '../model/picture.ts';
import type { Redirect, RetrievedOriginal, RetrievedRendition } from '../services/retrieve-image.ts';
import type { CachedRendition } from '../services/rendition-cache.ts';

/** The address names the recipe, so what it gives never changes. */
const forever = 'public, max-age=31536000, immutable';

/** May be kept, but must be asked about: the picture can be deleted, or made anew. */
const revalidate = 'public, no-cache';

/** A picture is never guessed to be something else, and never runs as a page. */
const safe = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; sandbox",
};

const safeHeaders = Object.entries(safe).flat();

/** Sends a rendition; `recipe` is the version that the address names, if it does. */
export async function replyRendition(
  request: FastifyRequest,
  reply: FastifyReply,
  found: RetrievedRendition,
  recipe: string | undefined,
): Promise<FastifyReply> {
  if ('body' in found) return replyFromMemory(request, reply, found, recipe, headersSetBefore(reply));
  if ('redirect' in found)
    return replyRedirect(request, reply, found.redirect, { contentType: 'image/jpeg' });
  const { etag, rendition } = found;
  void reply.headers({ ...safe, etag, 'cache-control': recipe === rendition.recipe ? forever : revalidate });
  if (isFresh(request.headers['if-none-match'], etag)) return reply.code(304).send();
  void reply.header('content-type', 'image/jpeg');
  return sendStream(request, reply, rendition.bytes, found.open);
}

/**
 * Sends a rendition that lies in memory. This is the hottest answer of all, so it is written past Fastify's chain of
 * serializing and header objects (`npm run bench:read` shows the effect); its hooks for the end of a request still run.
 * `more` are further headers, as a flat list of names and values.
 */
export function replyFromMemory(
  request: FastifyRequest,
  reply: FastifyReply,
  { body, etag, recipe: made }: CachedRendition,
  recipe: string | undefined,
  more: readonly string[],
): FastifyReply {
  reply.hijack();
  const cacheControl = recipe === made ? forever : revalidate;
  const headers = ['etag', etag, 'cache-control', cacheControl, ...safeHeaders, ...more];
  if (isFresh(request.headers['if-none-match'], etag)) {
    reply.raw.writeHead(304, headers).end();
    return reply;
  }
  headers.push('content-type', 'image/jpeg', 'content-length', String(body.length));
  reply.raw.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : body);
  return reply;
}

/** Hooks may have set headers, such as those for pages of other origins. */
function headersSetBefore(reply: FastifyReply): string[] {
  return Object.entries(reply.getHeaders()).flatMap(([name, value]) => [name, String(value)]);
}

/** Sends an original, whole or in part. */
export async function replyOriginal(
  request: FastifyRequest,
  reply: FastifyReply,
  found: RetrievedOriginal,
): Promise<FastifyReply> {
  const { image, etag, bytes, redirect } = found;
  const contentType = image.format ? mediaTypes[image.format] : 'application/octet-stream';
  const disposition = contentDisposition(image.filename ?? `${image.id}`, { type: 'inline' });
  if (redirect)
    return replyRedirect(request, reply, redirect, { contentType, contentDisposition: disposition });
  void reply.headers({
    ...safe,
    etag,
    'cache-control': revalidate,
    'accept-ranges': 'bytes',
    'content-type': contentType,
    'content-disposition': disposition,
  });
  if (isFresh(request.headers['if-none-match'], etag)) return reply.code(304).send();
  const range = readRange(request, reply, etag, bytes);
  if (!range) return sendStream(request, reply, bytes, () => found.open());
  const { start: first, end: last } = range;
  void reply.code(206).header('content-range', `bytes ${first}-${last}/${bytes}`);
  return sendStream(request, reply, last - first + 1, () => found.open({ first, last }));
}

/** Sends the client to the store, which answers with these headers. The address is not for everybody's cache. */
async function replyRedirect(
  { method }: FastifyRequest,
  reply: FastifyReply,
  redirect: Redirect,
  headers: { readonly contentType: string; readonly contentDisposition?: string },
): Promise<FastifyReply> {
  const location = await redirect.address({ ...headers, method: method === 'HEAD' ? 'HEAD' : 'GET' });
  return reply
    .code(302)
    .headers({ location, 'cache-control': `private, max-age=${redirect.maxAgeSeconds}` })
    .send();
}

async function sendStream(
  request: FastifyRequest,
  reply: FastifyReply,
  length: number,
  open: () => Promise<Readable>,
): Promise<FastifyReply> {
  void reply.header('content-length', length);
  // Fastify measures whatever it is given, except a stream: an empty one keeps the length of the file.
  if (request.method === 'HEAD') return reply.send(Readable.from([]));
  return reply.send(await open());
}

/** Whether the client has this version already (RFC 9110 §13.1.2: the comparison is weak). */
function isFresh(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  return header.split(',').some((candidate) => candidate.trim().replace(/^W\//, '') === etag);
}

/** One range; several, or a form that nobody knows, are answered with the whole file, as RFC 9110 §14.2 allows. */
function readRange(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  etag: string,
  bytes: number,
): { start: number; end: number } | undefined {
  const stale = headers['if-range'] !== undefined && headers['if-range'] !== etag;
  if (headers.range === undefined || stale) return undefined;
  // More of the last bytes than there are is the whole file (RFC 9110 §14.1.2); the parser calls it unsatisfiable.
  if (Number(/^bytes=-(\d+)$/.exec(headers.range)?.[1]) >= bytes) return { start: 0, end: bytes - 1 };
  const ranges = parseRange(bytes, headers.range, { combine: true });
  if (ranges === -1) {
    void reply.header('content-range', `bytes */${bytes}`);
    throw new AppError(
      'range_not_satisfiable',
      `The range ${headers.range.slice(0, 80)} lies outside the file of ${bytes} bytes.`,
    );
  }
  if (ranges === -2 || ranges.type !== 'bytes' || ranges.length !== 1) return undefined;
  return ranges[0];
}
