import type { FailureClass } from './model/job.ts';

/**
 * All error codes, each with its HTTP status, its title, and the class that determines whether a job is retried. This
 * table is the only place that maps codes to statuses.
 */
export const errorTable = {
  invalid_request: { status: 400, title: 'The request is not valid', failureClass: 'permanent' },
  invalid_tenant: { status: 400, title: 'The tenant name is not valid', failureClass: 'permanent' },
  unknown_preset: { status: 400, title: 'There is no such preset', failureClass: 'permanent' },
  missing_file: { status: 400, title: 'The file is missing', failureClass: 'permanent' },
  empty_file: { status: 400, title: 'The file is empty', failureClass: 'permanent' },
  body_cut_short: { status: 400, title: 'The request body ended too early', failureClass: 'transient' },
  not_a_picture: { status: 400, title: 'The file is not an image', failureClass: 'permanent' },
  format_not_allowed: { status: 400, title: 'The format is not allowed', failureClass: 'permanent' },
  picture_too_large: {
    status: 400,
    title: 'The image has too many pixels or frames',
    failureClass: 'permanent',
  },
  picture_cut: {
    status: 400,
    title: 'The image is truncated',
    failureClass: 'permanent',
    family: 'picture_damaged',
  },
  picture_corrupt: {
    status: 400,
    title: 'The image is corrupt',
    failureClass: 'permanent',
    family: 'picture_damaged',
  },
  picture_unsupported: {
    status: 400,
    title: 'The image uses an unsupported feature',
    failureClass: 'permanent',
    family: 'picture_damaged',
  },
  picture_unreadable: {
    status: 400,
    title: 'The image cannot be read',
    failureClass: 'permanent',
    family: 'picture_damaged',
  },
  // Earlier versions used this code for every picture that could not be decoded. Stored records still contain it.
  picture_damaged: {
    status: 400,
    title: 'The image cannot be decoded',
    failureClass: 'permanent',
    family: 'picture_damaged',
  },
  picture_rejected: {
    status: 400,
    title: 'The image breaks an intake rule',
    failureClass: 'permanent',
  },
  decoder_crashed: { status: 400, title: 'The image crashed the decoder', failureClass: 'crash' },
  worker_lost: {
    status: 400,
    title: 'The job repeatedly lost its worker',
    failureClass: 'lease-lost',
  },
  invalid_url: { status: 400, title: 'The URL cannot be imported', failureClass: 'permanent' },
  address_not_allowed: { status: 400, title: 'The address is not allowed', failureClass: 'permanent' },
  source_refused: { status: 400, title: 'The source returned no image', failureClass: 'permanent' },
  source_unavailable: { status: 400, title: 'The source is unavailable', failureClass: 'transient' },
  unauthenticated: { status: 401, title: 'The request is not authenticated', failureClass: 'permanent' },
  missing_scope: { status: 403, title: 'The API key lacks a scope', failureClass: 'permanent' },
  tenant_not_allowed: {
    status: 403,
    title: 'The API key belongs to a different tenant',
    failureClass: 'permanent',
  },
  key_exceeds_caller: {
    status: 403,
    title: 'The new key would be stronger than its creator',
    failureClass: 'permanent',
  },
  invalid_signature: {
    status: 403,
    title: 'The link is not valid',
    failureClass: 'permanent',
  },
  settings_not_allowed: {
    status: 403,
    title: 'The API key may not change this setting',
    failureClass: 'permanent',
  },
  quota_exceeded: {
    status: 403,
    title: "The tenant's quota is used up",
    failureClass: 'permanent',
  },
  purge_refused: { status: 403, title: 'The purge was not confirmed', failureClass: 'permanent' },
  origin_not_allowed: {
    status: 403,
    title: 'Pages from this origin may not change data',
    failureClass: 'permanent',
  },
  image_not_found: { status: 404, title: 'There is no such image', failureClass: 'permanent' },
  unknown_variant: { status: 404, title: 'There is no such rendition', failureClass: 'permanent' },
  tenant_not_found: { status: 404, title: 'There is no such tenant', failureClass: 'permanent' },
  import_not_found: { status: 404, title: 'There is no such import', failureClass: 'permanent' },
  key_not_found: { status: 404, title: 'There is no such API key', failureClass: 'permanent' },
  rendering_not_found: { status: 404, title: 'There is no such re-rendering', failureClass: 'permanent' },
  group_not_found: { status: 404, title: 'There is no such group of duplicates', failureClass: 'permanent' },
  job_not_found: { status: 404, title: 'There is no such job', failureClass: 'permanent' },
  upload_not_found: { status: 404, title: 'There is no such upload', failureClass: 'permanent' },
  fingerprint_not_ready: {
    status: 404,
    title: "The image's fingerprint is not ready",
    failureClass: 'transient',
  },
  rendition_not_ready: { status: 404, title: 'The rendition is not ready', failureClass: 'transient' },
  route_not_found: { status: 404, title: 'There is no such endpoint', failureClass: 'permanent' },
  original_missing: { status: 404, title: 'The original is missing from storage', failureClass: 'permanent' },
  method_not_allowed: {
    status: 405,
    title: 'The method is not allowed',
    failureClass: 'permanent',
  },
  request_timeout: { status: 408, title: 'The request took too long', failureClass: 'transient' },
  image_in_use: { status: 409, title: 'The image is in use', failureClass: 'permanent' },
  image_deleted: { status: 409, title: 'The image has been deleted', failureClass: 'transient' },
  import_active: { status: 409, title: 'The URL is already being imported', failureClass: 'transient' },
  job_not_failed: { status: 409, title: 'The job cannot be retried', failureClass: 'permanent' },
  rendering_finished: {
    status: 409,
    title: 'The re-rendering has ended',
    failureClass: 'permanent',
  },
  group_of_variants: {
    status: 409,
    title: 'The images of the group are variants',
    failureClass: 'permanent',
  },
  not_in_group: { status: 409, title: 'The image is not in the group', failureClass: 'permanent' },
  keeper_not_intact: { status: 409, title: 'The image to keep is not intact', failureClass: 'permanent' },
  idempotency_conflict: {
    status: 409,
    title: 'The Idempotency-Key was used for a different request',
    failureClass: 'permanent',
  },
  idempotency_running: {
    status: 409,
    title: 'The first request is still running',
    failureClass: 'transient',
  },
  key_not_active: { status: 409, title: 'The API key is not active', failureClass: 'permanent' },
  key_replaced: { status: 409, title: 'The API key has already been replaced', failureClass: 'permanent' },
  upload_not_offered: {
    status: 409,
    title: 'Presigned uploads are not available',
    failureClass: 'permanent',
  },
  body_too_large: { status: 413, title: 'The upload is too large', failureClass: 'permanent' },
  unsupported_body: {
    status: 415,
    title: 'The content type is not supported',
    failureClass: 'permanent',
  },
  range_not_satisfiable: { status: 416, title: 'The range is outside the file', failureClass: 'permanent' },
  host_not_allowed: {
    status: 421,
    title: 'The host is not allowed',
    failureClass: 'permanent',
  },
  too_many_requests: { status: 429, title: 'Too many requests', failureClass: 'transient' },
  too_many_connections: {
    status: 429,
    title: 'Too many connections from this address',
    failureClass: 'transient',
  },
  import_quota_exceeded: {
    status: 429,
    title: 'The tenant has used up its imports for today',
    failureClass: 'transient',
  },
  headers_too_large: { status: 431, title: 'The request headers are too large', failureClass: 'permanent' },
  internal_error: { status: 500, title: 'An internal error occurred', failureClass: 'transient' },
  overloaded: { status: 503, title: 'The server is overloaded', failureClass: 'transient' },
  unavailable: { status: 503, title: 'The service is temporarily unavailable', failureClass: 'transient' },
  database_unavailable: {
    status: 503,
    title: 'The database is unavailable',
    failureClass: 'transient',
  },
  storage_failed: { status: 503, title: 'A storage operation failed', failureClass: 'transient' },
  similarity_unavailable: {
    status: 501,
    title: 'Similarity search is not available',
    failureClass: 'permanent',
  },
  storage_full: { status: 507, title: 'Storage is nearly full', failureClass: 'transient' },
} as const satisfies Record<string, ErrorRow>;

interface ErrorRow {
  readonly status: number;
  readonly title: string;
  readonly failureClass: FailureClass;
  /** The code that earlier versions used for this error and related errors. */
  readonly family?: ErrorFamily;
}

/**
 * An earlier code that has been split into several codes. Responses contain both the family and the specific code,
 * because older clients check for the family.
 */
export type ErrorFamily = 'picture_damaged';

/** The machine-readable code of an error. */
export type ErrorCode = keyof typeof errorTable;

/** Returns the family of a code; `null` if the code has no family or is unknown. */
export function errorFamily(code: string | null): ErrorFamily | null {
  if (code === null || !Object.hasOwn(errorTable, code)) return null;
  const row: ErrorRow = errorTable[code as ErrorCode];
  return row.family ?? null;
}

/**
 * Returns the codes that a filter by `code` selects: every code in the family if `code` is a family, otherwise `code`.
 */
export function findMatchingCodes(code: string): string[] {
  const familyCodes = Object.keys(errorTable).filter((candidate) => errorFamily(candidate) === code);
  return familyCodes.length > 0 ? familyCodes : [code];
}

/** An error with a code. `message` is shown to users and states the cause, including any limit and the actual value. */
export class AppError extends Error {
  readonly code: ErrorCode;
  override readonly name = 'AppError';
  /** Additional machine-readable fields of the response. */
  readonly details: Readonly<Record<string, unknown>> | undefined;
  /** When the request can be sent again; `undefined` if the code decides. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options?: ErrorOptions & Partial<Pick<AppError, 'details' | 'retryAfterSeconds'>>,
  ) {
    super(message, options);
    this.code = code;
    this.details = options?.details;
    this.retryAfterSeconds = options?.retryAfterSeconds;
  }

  /** The HTTP status of the code. */
  get status(): number {
    return errorTable[this.code].status;
  }

  /** The title of the code. */
  get title(): string {
    return errorTable[this.code].title;
  }

  /** Determines whether a job that fails with this error is retried. */
  get failureClass(): FailureClass {
    return errorTable[this.code].failureClass;
  }
}

/** Thrown by storage if there is no file for a key. Callers translate it into an `AppError`. */
export class FileMissing extends Error {
  override readonly name = 'FileMissing';

  constructor(options?: ErrorOptions) {
    super('The file is missing from storage.', options);
  }
}

/** Thrown if the process must not start. The message explains why and what to do. */
export class StartupError extends Error {
  override readonly name: string = 'StartupError';
}

/** Thrown if settings are invalid. Contains a sentence for each problem. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n  ${problems.join('\n  ')}`,
    );
    this.problems = problems;
  }
}

/** Returns `error` if it is an `AppError`; otherwise wraps it as `internal_error`, which exposes no details. */
export function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError('internal_error', 'An internal error occurred; see the log for details.', {
    cause: error,
  });
}
