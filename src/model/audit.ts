/** Actions in the audit log, as `resource.verb`. They are part of the API and never renamed. */
export const auditActions = [
  'image.create',
  'image.delete',
  'image.restore',
  'image.focus',
  'image.purge',
  'import.create',
  'reference.add',
  'reference.remove',
  'verdict.set',
  'verdict.remove',
  'group.resolve',
  'job.retry',
  'key.create',
  'key.rotate',
  'key.revoke',
  'tenant.configure',
  'presets.change',
  'campaign.create',
  'campaign.pause',
  'campaign.resume',
  'campaign.cancel',
  'purge.run',
  'audit.expire',
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
  /** SHA-256 of the previous hash in the chain and of this entry, in hexadecimal; `null` until the entry is sealed. */
  readonly hash: string | null;
}

/** The first damage in a chain. */
export interface ChainDamage {
  /** Position of the first entry that was changed, moved or inserted, or is missing. */
  readonly position: number;
  /** Id of this entry; `null` if it is missing or if the end or the checkpoint of the chain is damaged. */
  readonly id: number | null;
  /** One sentence. */
  readonly reason: string;
}

/** Result of verifying one chain. */
export interface ChainReport {
  /** `null` for the chain of the installation. */
  readonly tenantId: number | null;
  readonly tenant: string | null;
  /** Number of entries that retention has removed from the start of the chain. They cannot be verified. */
  readonly removed: number;
  /** Number of entries that are intact, up to the first damage. */
  readonly checked: number;
  /** The stored end of the chain; `null` if it was removed. A copy that is kept elsewhere proves later what the chain was. */
  readonly head: { readonly position: number; readonly hash: string } | null;
  /** `null` if the chain is intact. */
  readonly damage: ChainDamage | null;
}

/** Entries that are not yet sealed, so that a change of them could not be detected. */
export interface UnsealedEntries {
  readonly total: number;
  /** The oldest ones. */
  readonly entries: readonly (Pick<AuditEntry, 'id' | 'at' | 'target'> & { readonly action: string })[];
}
