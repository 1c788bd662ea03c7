import { openAsBlob } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { jobStates } from '../model/job.ts';

/** When the server responds to an upload: after the renditions have been made (`inline`) or immediately (`queued`). */
export type UploadMode = 'inline' | 'queued';

/** A file to upload. */
export interface Upload {
  /** Path of the file on this machine. */
  readonly path: string;
  /** Stored as the image's `original_filename`. */
  readonly filename: string;
  /** Default: the tenant of the API key, or else the tenant `default`. */
  readonly tenant: string | undefined;
  readonly mode: UploadMode;
  readonly signal?: AbortSignal | undefined;
}

/** The result of an upload: a new image, an image that the tenant already had, or a rejected file with the reason. */
export type UploadResult =
  | ({ readonly outcome: 'new' | 'known' } & UploadedImage)
  | { readonly outcome: 'refused'; readonly code: string; readonly reason: string };

const uploadedImageSchema = z.object({
  id: z.number(),
  uuid: z.string(),
  status: z.enum(jobStates),
  error: z
    .string()
    .nullish()
    .transform((error) => error ?? null),
});

const renditionSchema = z.object({
  id: z.number(),
  preset: z.string(),
  url: z.string(),
  size_bytes: z.number(),
  width: z.number(),
  height: z.number(),
  quality: z.number().nullish(),
  format: z.string(),
});

const imageRecordSchema = uploadedImageSchema.extend({
  original_filename: z.string().nullish(),
  renditions: z.array(renditionSchema),
});

const problemSchema = z.object({ code: z.string().optional(), detail: z.string().optional() });

type UploadedImage = Readonly<z.infer<typeof uploadedImageSchema>>;

/** The fields of an image that the command line uses. */
export type ImageRecord = Readonly<z.infer<typeof imageRecordSchema>>;

/** Thrown if the server is unreachable or still fails after all retries. The message is shown to users. */
export class ServerFailure extends Error {
  override readonly name = 'ServerFailure';
}

/** Thrown if the server rejects a request. The message comes from the server. */
export class RequestRejected extends Error {
  override readonly name: string = 'RequestRejected';
}

/** Thrown if the API key is missing, invalid or lacks a right, so that no similar request would succeed either. */
export class AccessDenied extends RequestRejected {
  override readonly name = 'AccessDenied';
}

/** Codes of 403 responses that depend on the API key alone. */
const deniedCodes = new Set(['missing_scope', 'tenant_not_allowed']);

/** A client for Vitrine's HTTP API. Every request is safe to repeat, so failed requests are retried. */
export type ApiClient = ReturnType<typeof makeApiClient>;

/** Options of an API client. Only tests set `fetch` and `retryDelays`. */
export interface ApiClientOptions {
  /** URL of the server. */
  readonly baseUrl: string;
  /** The API key that every request sends, if any. */
  readonly apiKey?: string | undefined;
  readonly fetch?: typeof globalThis.fetch;
  /** Pauses before the retries, in milliseconds. Each entry adds one retry. */
  readonly retryDelays?: readonly number[];
}

const defaultRetryDelays = [500, 1000, 2000];
const maxRetryAfterMs = 10_000;

/** Creates an API client. */
export function makeApiClient(options: ApiClientOptions) {
  const { fetch = globalThis.fetch, retryDelays = defaultRetryDelays, apiKey } = options;
  const authorization = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  const baseUrl = options.baseUrl.replace(/\/+$/, '');

  /**
   * Sends a request, with retries. Calls `makeBody` for each attempt, because sending a body consumes it.
   * @throws {ServerFailure} @throws {AccessDenied}
   */
  async function send(
    path: string,
    signal?: AbortSignal,
    makeBody?: () => Promise<FormData | Blob>,
    headers: Readonly<Record<string, string>> = {},
    method?: 'DELETE',
  ) {
    for (let attempt = 0; ; attempt += 1) {
      const body = await makeBody?.();
      const outcome = await sendOnce(`${baseUrl}${path}`, headers, signal, body, method);
      if (outcome instanceof Response && !isRetryable(outcome.status)) {
        await assertAllowed(outcome, apiKey !== undefined);
        return outcome;
      }
      const delay = retryDelays[attempt];
      if (delay === undefined) throw await toServerFailure(outcome, baseUrl);
      await sleep(chooseRetryDelay(outcome, delay), undefined, { signal });
    }
  }

  /** Sends a request once. Returns the response or the connection error. Throws only if aborted. */
  async function sendOnce(
    url: string,
    headers: Readonly<Record<string, string>>,
    signal?: AbortSignal,
    body?: FormData | Blob,
    method?: 'DELETE',
  ): Promise<Response | Error> {
    try {
      return await fetch(url, {
        method: method ?? (body ? 'POST' : 'GET'),
        headers: { ...authorization, ...headers },
        body: body ?? null,
        signal: signal ?? null,
      });
    } catch (error) {
      signal?.throwIfAborted();
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  return {
    baseUrl,

    /**
     * Uploads a file from disk. @throws {ServerFailure} if the server is unreachable or still fails after all retries.
     * @throws {AccessDenied}
     */
    async uploadFile(upload: Upload): Promise<UploadResult> {
      const query = upload.mode === 'queued' ? '?mode=queued' : '';
      const response = await send(`/v1/images${query}`, upload.signal, () => makeUploadForm(upload));
      if (!response.ok) return readRejection(response);
      const image = await readJson(response, uploadedImageSchema);
      return { outcome: response.status === 200 ? 'known' : 'new', ...image };
    },

    /** Returns an image. @throws {ServerFailure} */
    async getImage(id: number, signal?: AbortSignal): Promise<ImageRecord> {
      const response = await send(`/v1/images/${id}`, signal);
      if (!response.ok) throw new ServerFailure((await readRejection(response)).reason);
      return readJson(response, imageRecordSchema);
    },

    /** Posts `value` as JSON and parses the response with `schema`. @throws {RequestRejected} */
    async postJson<Schema extends z.ZodType>(
      path: string,
      value: unknown,
      schema: Schema,
      signal?: AbortSignal,
      headers?: Readonly<Record<string, string>>,
    ): Promise<z.output<Schema>> {
      const body = new Blob([JSON.stringify(value)], { type: 'application/json' });
      const response = await send(path, signal, () => Promise.resolve(body), headers);
      if (!response.ok) throw new RequestRejected((await readRejection(response)).reason);
      return readJson(response, schema);
    },

    /** Gets JSON and parses it with `schema`. @throws {RequestRejected} */
    async getJson<Schema extends z.ZodType>(path: string, schema: Schema): Promise<z.output<Schema>> {
      const response = await send(path);
      if (!response.ok) throw new RequestRejected((await readRejection(response)).reason);
      return readJson(response, schema);
    },

    /** Gets a response of any length. @throws {RequestRejected} @throws {ServerFailure} also if the response breaks off. */
    async getStream(path: string): Promise<AsyncIterable<Uint8Array>> {
      const response = await send(path);
      if (!response.ok) throw new RequestRejected((await readRejection(response)).reason);
      return readChunks(response, baseUrl);
    },

    /** Deletes what is at `path` and parses the response with `schema`. @throws {RequestRejected} */
    async delete<Schema extends z.ZodType>(path: string, schema: Schema): Promise<z.output<Schema>> {
      const response = await send(path, undefined, undefined, {}, 'DELETE');
      if (!response.ok) throw new RequestRejected((await readRejection(response)).reason);
      return readJson(response, schema);
    },

    /** Checks that a healthy Vitrine server responds at `baseUrl`. @throws {ServerFailure} otherwise. */
    async assertHealthy(signal?: AbortSignal): Promise<void> {
      const response = await send('/v1/healthz', signal);
      await response.body?.cancel();
      if (response.ok) return;
      throw new ServerFailure(
        `${baseUrl} responds, but does not look like a Vitrine server (status ${response.status} for /v1/healthz).`,
      );
    },
  };
}

async function* readChunks({ body }: Response, baseUrl: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body ?? []) yield chunk;
  } catch (error) {
    throw new ServerFailure(`The response of ${baseUrl} broke off before its end.`, { cause: error });
  }
}

async function makeUploadForm({ path, filename, tenant }: Upload): Promise<FormData> {
  const form = new FormData();
  if (tenant !== undefined) form.set('tenant', tenant);
  form.set('file', await openAsBlob(path), filename);
  return form;
}

/**
 * Whether to retry a request that failed with `status`. 507 is not retried, because a full disk does not recover in
 * seconds.
 */
function isRetryable(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 507);
}

/** Returns the server's Retry-After in milliseconds, or `fallback` if there is none. */
function chooseRetryDelay(outcome: Response | Error, fallback: number): number {
  const seconds = outcome instanceof Response ? Number(outcome.headers.get('retry-after') ?? NaN) : NaN;
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, maxRetryAfterMs) : fallback;
}

/** @throws {AccessDenied} if the response rejects the API key or its absence. */
async function assertAllowed(response: Response, hasKey: boolean): Promise<void> {
  if (response.status !== 401 && response.status !== 403) return;
  const { code, reason } = await readRejection(response.clone());
  if (response.status === 401)
    throw new AccessDenied(
      hasKey
        ? `The server does not accept the API key in VITRINE_API_KEY. ${reason}`
        : 'The server requires an API key: set VITRINE_API_KEY.',
    );
  if (deniedCodes.has(code)) throw new AccessDenied(reason);
}

async function readRejection(response: Response) {
  const { code, detail } = await readProblem(response);
  return {
    outcome: 'refused',
    code: code ?? `http_${response.status}`,
    reason: detail ?? `The server responded with status ${response.status}.`,
  } as const;
}

async function toServerFailure(outcome: Response | Error, baseUrl: string): Promise<ServerFailure> {
  if (outcome instanceof Error) {
    return new ServerFailure(`No response from ${baseUrl} (${describeConnectionError(outcome)}).`, {
      cause: outcome,
    });
  }
  const { detail } = await readProblem(outcome);
  return new ServerFailure(`The server failed with status ${outcome.status}${detail ? `: ${detail}` : '.'}`);
}

/**
 * Describes a `fetch` error. The reason is in its cause, which is an AggregateError if the host has several addresses.
 */
function describeConnectionError(error: Error): string {
  const cause = error.cause instanceof AggregateError ? error.cause.errors[0] : error.cause;
  return cause instanceof Error ? cause.message || cause.name : error.message;
}

async function readProblem(response: Response): Promise<z.infer<typeof problemSchema>> {
  const body: unknown = await response.json().catch(() => null);
  const result = problemSchema.safeParse(body);
  return result.success ? result.data : {};
}

async function readJson<Schema extends z.ZodType>(response: Response, schema: Schema) {
  const body: unknown = await response.json().catch(() => null);
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw new ServerFailure(
    `${new URL(response.url).origin} sent an unexpected response. Is it a Vitrine server?`,
  );
}
