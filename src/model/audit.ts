/** Actions in the audit log, as `resource.verb`. */
export const auditActions = [
  'image.create',
  'image.delete',
  'image.restore',
  'image.purge',
  'import.create',
  'reference.add',
  'reference.remove',
  'job.retry',
  'key.create',
  'key.rotate',
  'key.revoke',
  'purge.run',
] as const;

/** @see auditActions */
export type AuditAction = (typeof auditActions)[number];

/** One entry of the audit log. */
export interface AuditEntry {
  readonly id: number;
  readonly at: Date;
  /** `null` for actions on the whole installation. */
  readonly tenant: string | null;
  readonly actor: string;
  /** Id of the API key of the actor. */
  readonly keyId: string | null;
  readonly action: string;
  /** The image (UUID), key or tenant that was acted on. */
  readonly target: string | null;
  readonly details: Readonly<Record<string, unknown>>;
  /** Place in the chain of the tenant, from 1; `null` until the entry is sealed. */
  readonly position: number | null;
}

/** Result of verifying the chain of one tenant. */
export interface ChainReport {
  /** `null` for the chain of the installation. */
  readonly tenantId: number | null;
  /** Number of entries that were checked. */
  readonly checked: number;
  /** The first entry that was changed or is missing; `null` if the chain is intact. */
  readonly broken: { readonly position: number; readonly id: number | null; readonly reason: string } | null;
}
