import { openAsBlob } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { jobStates } from '../model/job.ts';

/** How an upload is worked on: `inline` answers when the renditions are there, `queued` answers at once. */
export type UploadMode = 'inline' | 'queued';

/** One file to upload. */
export interface Upload {
  /** Where the file lies on this machine. */
  readonly path: string;
  /** Name that the image keeps as `original_filename`. */
  readonly filename: string;
  readonly tenant: string;
  readonly mode: UploadMode;
  readonly signal?: AbortSignal | undefined;
}

/** What the server said to an upload: a new image, one the tenant already had, or a refusal with its reason. */
export type UploadAnswer =
  | ({ readonly outcome: 'new' | 'known' } & UploadedImage)
  | { readonly outcome: 'refused'; readonly code: string; readonly reason: string };

const uploadedImage = z.object({
  id: z.number(),
  uuid: z.string(),
  status: z.enum(jobStates),
  error: z
    .string()
    .nullish()
    .transform((error) => error ?? null),
});

const rendition = z.object({
  id: z.number(),
  preset: z.string(),
  url: z.string(),
  size_bytes: z.number(),
  width: z.number(),
  height: z.number(),
  quality: z.number().nullish(),
  format: z.string(),
});

const imageRecord = uploadedImage.extend({
  original_filename: z.string().nullish(),
  renditions: z.array(rendition),
});

const problem = z.object({ code: z.string().optional(), detail: z.string().optional() });

type UploadedImage = Readonly<z.infer<typeof uploadedImage>>;

/** The part of an image record that the command line reads. */
export type ImageRecord = Readonly<z.infer<typeof imageRecord>>;

/** The server's address did not answer, or went on failing after every retry. The message is for a person. */
export class ServerFailure extends Error {
  override readonly name = 'ServerFailure';
}

/** The server answered that it does not do this. The message is its sentence. */
export class ServerRefusal extends Error {
  override readonly name = 'ServerRefusal';
}

/** A client of Vitrine's own HTTP interface. Every call is safe to repeat, so failed calls are repeated. */
export type ApiClient = ReturnType<typeof makeApiClient>;

/** Where the server is and, for tests, how it is reached and how long to wait between tries. */
export interface ApiClientOptions {
  readonly baseUrl: string;
  readonly fetch?: typeof globalThis.fetch;
  /** Waits before each retry in milliseconds; their number is the number of retries. */
  readonly retryWaits?: readonly number[];
}

const standardRetryWaits = [500, 1000, 2000];
const longestRetryAfterMs = 10_000;

/** Makes a client for the server at `baseUrl`. */
export function makeApiClient(options: ApiClientOptions) {
  const { fetch = globalThis.fetch, retryWaits = standardRetryWaits } = options;
  const baseUrl = options.baseUrl.replace(/\/+$/, '');

  /** Sends until there is an answer worth reading; `makeBody` runs for each try because a body is used up by one. */
  async function send(
    path: string,
    signal?: AbortSignal,
    makeBody?: () => Promise<FormData | Blob>,
    headers: Readonly<Record<string, string>> = {},
  ) {
    for (let attempt = 0; ; attempt += 1) {
      const body = await makeBody?.();
      const answer = await attemptOnce(`${baseUrl}${path}`, headers, signal, body);
      if (answer instanceof Response && !isWorthRetrying(answer.status)) return answer;
      const wait = retryWaits[attempt];
      if (wait === undefined) throw await failureOf(answer, baseUrl);
      await sleep(waitBeforeRetry(answer, wait), undefined, { signal });
    }
  }

  /** One try: the response, or the error of a connection that failed. Only an abort is thrown. */
  async function attemptOnce(
    url: string,
    headers: Readonly<Record<string, string>>,
    signal?: AbortSignal,
    body?: FormData | Blob,
  ): Promise<Response | Error> {
    try {
      const method = body ? 'POST' : 'GET';
      return await fetch(url, { method, headers, body: body ?? null, signal: signal ?? null });
    } catch (error) {
      signal?.throwIfAborted();
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  return {
    baseUrl,

    /** Uploads a file from disk. Throws `ServerFailure` when the server does not answer or keeps failing. */
    async uploadFile(upload: Upload): Promise<UploadAnswer> {
      const query = upload.mode === 'queued' ? '?mode=queued' : '';
      const response = await send(`/v1/images${query}`, upload.signal, () => uploadForm(upload));
      if (!response.ok) return refusalOf(response);
      const image = await readJson(response, uploadedImage);
      return { outcome: response.status === 200 ? 'known' : 'new', ...image };
    },

    /** The image record with `id`. */
    async getImage(id: number, signal?: AbortSignal): Promise<ImageRecord> {
      const response = await send(`/v1/images/${id}`, signal);
      if (!response.ok) throw new ServerFailure((await refusalOf(response)).reason);
      return readJson(response, imageRecord);
    },

    /** Posts `value` as JSON, with further `headers`, and reads the answer by `schema`. A refusal is a `ServerRefusal`. */
    async postJson<Schema extends z.ZodType>(
      path: string,
      value: unknown,
      schema: Schema,
      signal?: AbortSignal,
      headers?: Readonly<Record<string, string>>,
    ): Promise<z.output<Schema>> {
      const body = new Blob([JSON.stringify(value)], { type: 'application/json' });
      const response = await send(path, signal, () => Promise.resolve(body), headers);
      if (!response.ok) throw new ServerRefusal((await refusalOf(response)).reason);
      return readJson(response, schema);
    },

    /** Asks whether a Vitrine answers at the address; throws `ServerFailure` with a sentence if none does. */
    async health(signal?: AbortSignal): Promise<void> {
      const response = await send('/v1/healthz', signal);
      await response.body?.cancel();
      if (response.ok) return;
      throw new ServerFailure(
        `${baseUrl} answers, but not as Vitrine does (status ${response.status} for /v1/healthz).`,
      );
    },
  };
}

async function uploadForm({ path, filename, tenant }: Upload): Promise<FormData> {
  const form = new FormData();
  // The tenant goes first: the server reads the form as a stream and then knows it before the file arrives.
  form.set('tenant', tenant);
  form.set('file', await openAsBlob(path), filename);
  return form;
}

/** 507 is left out: a full disk does not empty itself within seconds, so it is told as a refusal. */
function isWorthRetrying(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 507);
}

function waitBeforeRetry(answer: Response | Error, wait: number): number {
  const seconds = answer instanceof Response ? Number(answer.headers.get('retry-after') ?? Number.NaN) : NaN;
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, longestRetryAfterMs) : wait;
}

async function refusalOf(response: Response) {
  const { code, detail } = await readProblem(response);
  return {
    outcome: 'refused',
    code: code ?? `http_${response.status}`,
    reason: detail ?? `The server answered with status ${response.status}.`,
  } as const;
}

async function failureOf(answer: Response | Error, baseUrl: string): Promise<ServerFailure> {
  if (answer instanceof Error) {
    return new ServerFailure(`No answer from ${baseUrl} (${connectionProblem(answer)}).`, { cause: answer });
  }
  const { detail } = await readProblem(answer);
  return new ServerFailure(`The server failed with status ${answer.status}${detail ? `: ${detail}` : '.'}`);
}

/** `fetch` hides the reason in its error's cause, and that of several addresses once more in a list. */
function connectionProblem(error: Error): string {
  const cause = error.cause instanceof AggregateError ? error.cause.errors[0] : error.cause;
  return cause instanceof Error ? cause.message || cause.name : error.message;
}

async function readProblem(response: Response): Promise<z.infer<typeof problem>> {
  const body: unknown = await response.json().catch(() => null);
  const parsed = problem.safeParse(body);
  return parsed.success ? parsed.data : {};
}

async function readJson<Schema extends z.ZodType>(response: Response, schema: Schema) {
  const body: unknown = await response.json().catch(() => null);
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new ServerFailure(`${new URL(response.url).origin} answered with something that is not Vitrine's.`);
}
