import { createHash } from 'node:crypto';
import type { IdempotentRequestQueries, RequestId } from '../../db/idempotent-requests.ts';
import { AppError } from '../../errors.ts';
import { defaultTenant } from '../../model/tenant.ts';
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
  /** How long a request can take at most, in milliseconds. After that, its process counts as lost. */
  readonly maxRequestMs: number;
}

/** @see BeginIdempotent */
export function makeBeginIdempotent({ requests, ring, maxRequestMs }: Dependencies): BeginIdempotent {
  return async (identity, { key, content, tenantName }) => {
    const id = { owner: ownerOf(identity, tenantName), idempotencyKey: key };
    const hash = createHash('sha256').update(content).digest();
    const { tenantId } = identity;
    const earlier = await runInTenant(tenantId, () => requests.begin(id, hash, maxRequestMs / 1_000));
    if (earlier === undefined) return makeRun(requests, ring, id, tenantId);
    if (!earlier.hash.equals(hash))
      throw new AppError(
        'idempotency_conflict',
        `The Idempotency-Key ${JSON.stringify(key)} was already used for a different request; use a new key for each request.`,
      );
    if (earlier.response === null)
      throw new AppError(
        'idempotency_running',
        `The first request with the Idempotency-Key ${JSON.stringify(key)} is still running; try again later.`,
      );
    const text = ring.decrypt(earlier.response.secretId, earlier.response.response);
    if (text === undefined)
      throw new AppError(
        'idempotency_conflict',
        `The response to the first request with the Idempotency-Key ${JSON.stringify(key)} cannot be read anymore, because SECRET_KEY has changed; use a new key.`,
      );
    return { replay: JSON.parse(text) as StoredResponse };
  };
}

function makeRun(
  requests: IdempotentRequestQueries,
  ring: SecretRing,
  id: RequestId,
  tenantId: number | null,
): IdempotentRun {
  return {
    complete: (response) =>
      runInTenant(tenantId, () => requests.complete(id, ring.encrypt(JSON.stringify(response)))),
    abandon: () => runInTenant(tenantId, () => requests.abandon(id)),
  };
}

function ownerOf({ keyId, subject }: Identity, tenantName: string | undefined): string {
  if (keyId !== null) return `key ${keyId}`;
  return subject === 'open' ? `tenant ${tenantName ?? defaultTenant}` : subject;
}
