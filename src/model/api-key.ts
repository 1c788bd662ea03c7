import type { Role, Scope } from './access.ts';

/** Longest name of a key, in characters. */
export const maxKeyNameLength = 100;

/** Longest time until a key expires, in seconds: ten years. */
export const maxKeyExpirySeconds = 10 * 365 * 86_400;

/** Longest time for which a key keeps working after it was rotated, in seconds: 30 days. */
export const maxOverlapSeconds = 30 * 86_400;

/** An API key as its managers see it. The key itself is not stored. */
export interface ApiKey {
  /** The public part of the key. */
  readonly id: string;
  readonly name: string;
  /** Name of the only tenant that the key can access; `null` allows all tenants. */
  readonly tenant: string | null;
  /** The role that the scopes came from; `null` if they were listed one by one. */
  readonly role: Role | null;
  readonly scopes: readonly Scope[];
  /** Who created the key. */
  readonly createdBy: string;
  /** Id of the key that this one replaced in a rotation. */
  readonly replacedId: string | null;
  readonly createdAt: Date;
  /** From this time on, the key is rejected; `null` if it does not expire. */
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  /** Whether the server still has the secret that hashed the key. Without it, the key does not work. */
  readonly hasSecret: boolean;
  /** Whether the newest secret hashed the key. Otherwise, it is hashed again when it is used, as long as its secret is there. */
  readonly hasNewestSecret: boolean;
  /** Accurate to a minute; `null` if the key has never been used. */
  readonly lastUsedAt: Date | null;
}
