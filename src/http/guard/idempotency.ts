import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../errors.ts';
import type { Identity } from '../../model/principal.ts';
import type { BeginIdempotent, IdempotentRun, StoredResponse } from '../../services/access/idempotency.ts';
import { readBodyType } from '../bodies/body-type.ts';
import type { UploadForm } from '../bodies/upload-form.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the route honours `Idempotency-Key`. Every POST that creates or deletes does. */
    readonly isIdempotent?: true;
  }
  interface FastifyRequest {
    /** The run whose response will be stored; `null` without a key. */
    idempotentRun: IdempotentRun | null;
  }
}

const keyHeader = 'idempotency-key';

/** Printable ASCII, as in the IETF draft on this header. */
export const idempotencyKeyPattern = /^[!-~]{1,255}$/;

/** Set on a response that was replayed. */
const replayedHeader = 'idempotency-replayed';

/** Headers of a response that are stored with it. A response may contain an API key, so `cache-control` is one of them. */
const storedHeaders = ['content-type', 'location', 'cache-control'] as const;

/** Thrown to skip the handler of a request whose response is replayed. */
class ReplayedResponse extends Error {
  readonly response: StoredResponse;

  constructor(response: StoredResponse) {
    super('The response is replayed.');
    this.response = response;
  }
}

/**
 * Makes POST requests with an `Idempotency-Key` safe to repeat: the first successful response is stored and replayed. Requests with a
 * form call `beginForm` once they have received it, because their content is not known before.
 */
export function replayRequests(app: FastifyInstance, begin: BeginIdempotent): void {
  app.decorateRequest('idempotentRun', null);
  app.addHook('preHandler', async (request) => {
    if (!isKeyed(request) || readBodyType(request) === 'multipart/form-data') return;
    const { body } = request;
    const content = Buffer.isBuffer(body) ? body.toString('base64') : canonicalJson(body ?? null);
    await start(begin, request, content, tenantIn(body) ?? tenantIn(request.query));
  });
  // Runs even if the client has closed the connection, because the handler does. So the client can ask for the response again.
  app.addHook('onSend', async (request, reply, payload) => {
    const run = request.idempotentRun;
    if (run === null) return payload;
    request.idempotentRun = null;
    await finish(run, request, reply, payload);
    return payload;
  });
}

/**
 * Begins a request whose form has been received. Its content is the fields and the hash of the file, whatever the boundary and
 * the order of the parts. If an earlier response is replayed, discards the file.
 * @throws to replay an earlier response
 */
export type BeginForm = (request: FastifyRequest, form: UploadForm, tenantName?: string) => Promise<void>;

/** @see BeginForm */
export function makeBeginForm(begin: BeginIdempotent): BeginForm {
  return async (request, { fields, file, discard }, tenantName) => {
    if (!isKeyed(request)) return;
    const content = canonicalJson({ fields: Object.fromEntries(fields), sha256: file.contentHash });
    try {
      await start(begin, request, content, tenantName);
    } catch (error) {
      await discard();
      throw error;
    }
  };
}

/** Sends the response to an earlier request. Returns false if `error` does not stand for one. */
export function sendReplay(reply: FastifyReply, error: unknown): boolean {
  if (!(error instanceof ReplayedResponse)) return false;
  const { status, headers, body } = error.response;
  void reply
    .code(status)
    .headers({ ...headers, [replayedHeader]: 'true' })
    .send(body === '' ? undefined : body);
  return true;
}

function isKeyed({ headers, routeOptions }: FastifyRequest): boolean {
  return headers[keyHeader] !== undefined && routeOptions.config.isIdempotent === true;
}

async function start(
  begin: BeginIdempotent,
  request: FastifyRequest,
  content: string,
  tenantName: string | undefined,
): Promise<void> {
  const key = String(request.headers[keyHeader]);
  if (!idempotencyKeyPattern.test(key))
    throw new AppError(
      'invalid_request',
      `The header Idempotency-Key must be 1 to 255 printable ASCII characters without spaces; this one has ${key.length} characters.`,
    );
  const { identity, method, url } = request as FastifyRequest & { identity: Identity };
  const result = await begin(identity, { key, tenantName, content: `${method} ${url}\n${content}` });
  if ('replay' in result) throw new ReplayedResponse(result.replay);
  request.idempotentRun = result;
}

async function finish(
  run: IdempotentRun,
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): Promise<void> {
  const { statusCode: status } = reply;
  // A rejected request had no effect, so repeating it is harmless. Storing its response would only take space.
  const hadEffect = status < 400;
  try {
    if (!hadEffect || (typeof payload !== 'string' && payload !== undefined && payload !== null))
      await run.abandon();
    else await run.complete({ status, headers: headersOf(reply), body: payload ?? '' });
  } catch (error) {
    // The request itself has succeeded. A repetition of it would run again.
    request.log.warn({ err: error }, 'the response to a request with an Idempotency-Key could not be stored');
  }
}

function headersOf(reply: FastifyReply): Record<string, string> {
  return Object.fromEntries(
    storedHeaders.flatMap((name) => {
      const value = reply.getHeader(name);
      return value === undefined ? [] : [[name, String(value)]];
    }),
  );
}

/** Returns the tenant that a body or query names. */
function tenantIn(values: unknown): string | undefined {
  if (typeof values !== 'object' || values === null || !('tenant' in values)) return undefined;
  return typeof values.tenant === 'string' ? values.tenant : undefined;
}

/** Serializes JSON with sorted keys, so that the order of fields does not matter. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, node: unknown) =>
    typeof node === 'object' && node !== null && !Array.isArray(node)
      ? Object.fromEntries(Object.entries(node).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : node,
  );
}
