/**
 * How much a tenant may store, and import in a day. `null` means no limit. Deleted images that wait for a purge may use as much
 * again; what they use beyond that counts like other images.
 */
export interface Quotas {
  /** Images that are not deleted, in every state. */
  readonly images: number | null;
  /** Bytes of originals and renditions, as counted by the tenant's usage. */
  readonly bytes: number | null;
  /** Imports by URL that are accepted from midnight to midnight, UTC. */
  readonly importsPerDay: number | null;
}

/** Quotas without any limit. */
export const noQuotas: Quotas = { images: null, bytes: null, importsPerDay: null };

/** What a request would add to the usage of a tenant. */
export interface QuotaRequest {
  readonly images?: number;
  readonly bytes?: number;
}

/** Whether the number of images or their bytes is limited. */
export function limitsStorage({ images, bytes }: Quotas): boolean {
  return images !== null || bytes !== null;
}
