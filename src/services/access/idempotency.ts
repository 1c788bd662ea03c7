import { createHash } from 'node:crypto';
import type { IdempotentRequestQueries, RunningRequest } from '../../db/idempotent-requests.ts';
import { AppError } from '../../errors.ts';
import { defaultTenant, isTenantName } from '../../model/tenant.ts';
import type { Logger } from '../../model/logger.ts';
import type { Identity } from '../../model/principal.ts';
import { runInTenant } from '../../tenant-scope.ts';
import type { SecretRing } from './secret-ring.ts';

/** A response to replay. */
export interface StoredResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A request whose response will be stored. Exactly one of the methods must be called. */
export interface IdempotentRun {
  /** Stores the response. */
  complete(response: StoredResponse): Promise<void>;
  /** Forgets the request, so that it can be sent again. */
  abandon(): Promise<void>;
}

/** What identifies a request, apart from its key. */
export interface IdempotentRequest {
  readonly key: string;
  /** Everything that decides what the request does, such as method, URL and body. */
  readonly content: string;
  /** The tenant in the request, if any. Without API keys, each tenant has its own keys. */
  readonly tenantName: string | undefined;
}

/**
 * Makes requests with an `Idempotency-Key` safe to repeat.
 * @throws {AppError} `idempotency_conflict` if the key was used for a different request; `idempotency_running` while the
 *   first request is running.
 */
export type BeginIdempotent = (
  identity: Identity,
  request: IdempotentRequest,
) => Promise<IdempotentRun | { readonly replay: StoredResponse }>;

interface Dependencies {
  readonly requests: IdempotentRequestQueries;
  readonly ring: SecretRing;
  /** After how many milliseconds the process of a request counts as lost if it has not reported since. */
  readonly lostAfterMs: number;
  readonly logger: Logger;
}

/** @see BeginIdempotent */
export function makeBeginIdempotent(dependencies: Dependencies): BeginIdempotent {
  const { requests, ring, lostAfterMs } = dependencies;
  return async (identity, { key, content, tenantName }) => {
    const id = { owner: ownerOf(identity, tenantName), idempotencyKey: key };
    const hash = createHash('sha256').update(content).digest();
    const { tenantId } = identity;
    const found = await runInTenant(tenantId, () => requests.begin(id, hash, lostAfterMs / 1_000));
    if ('begunAt' in found) return makeRun(dependencies, found, tenantId);
    if (!found.hash.equals(hash))
      throw new AppError(
        'idempotency_conflict',
        `The Idempotency-Key ${JSON.stringify(key)} was already used for a different request; use a new key for each request.`,
      );
    if (found.response === null)
      throw new AppError(
        'idempotency_running',
        `The first request with the Idempotency-Key ${JSON.stringify(key)} is still running; try again later.`,
      );
    const text = ring.decrypt(found.response.secretId, found.response.response);
    if (text === undefined)
      throw new AppError(
        'idempotency_conflict',
        `The response to the first request with the Idempotency-Key ${JSON.stringify(key)} cannot be read anymore, because SECRET_KEY has changed; use a new key.`,
      );
    return { replay: JSON.parse(text) as StoredResponse };
  };
}

function makeRun(
  { requests, ring, lostAfterMs, logger }: Dependencies,
  running: RunningRequest,
  tenantId: number | null,
): IdempotentRun {
  async function extend(): Promise<void> {
    const isExtended = await runInTenant(tenantId, () => requests.extend(running, lostAfterMs / 1_000));
    if (!isExtended) clearInterval(timer);
  }
  // A purge can take longer than any other request.
  const timer = setInterval(() => {
    extend().catch((error: unknown) =>
      logger.warn({ err: error }, 'a request with an Idempotency-Key could not report that it is running'),
    );
  }, lostAfterMs / 3).unref();

  async function end(record: () => Promise<void>): Promise<void> {
    clearInterval(timer);
    await runInTenant(tenantId, record);
  }
  return {
    complete: (response) => end(() => requests.complete(running, ring.encrypt(JSON.stringify(response)))),
    abandon: () => end(() => requests.abandon(running)),
  };
}

function ownerOf({ keyId, subject }: Identity, tenantName: string | undefined): string {
  if (keyId !== null) return `key ${keyId}`;
  if (subject !== 'open') return subject;
  // The request will be rejected if the name is not valid. Until then, it may be any text, of any length.
  const isValid = tenantName !== undefined && isTenantName(tenantName);
  return `tenant ${isValid ? tenantName : defaultTenant}`;
}
