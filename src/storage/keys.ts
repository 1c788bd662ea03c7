/** Key of the marker that identifies the installation which owns the storage. */
export const installationKey = 'installation/id';

/** Returns the key of an original. It is content-addressed per tenant, so that tenants never learn of each other. */
export function originalKey(tenantId: number, contentHash: string): string {
  return `originals/${tenantId}/${contentHash.slice(0, 2)}/${contentHash}`;
}

/**
 * Returns the key of a rendition. It is derived from source and recipe, so generating it again writes the same file. All
 * renditions of a picture are in one folder.
 */
export function renditionKey(tenantId: number, contentHash: string, preset: string, recipe: string): string {
  return `renditions/${tenantId}/${contentHash.slice(0, 2)}/${contentHash}-${preset}-${recipe}.jpg`;
}

/** Returns the key of a direct upload that is not ingested yet. `id` is a UUID. */
export function incomingKey(tenantId: number, id: string): string {
  // UUIDs are case-insensitive, and keys have no capitals.
  return `incoming/${tenantId}/${id.toLowerCase()}`;
}

const keyPattern = /^(?:[a-z0-9][a-z0-9_.-]*\/)+[a-z0-9][a-z0-9_.-]*$/;

/** Whether `key` has the syntax of a storage key. */
export function isKey(key: string): boolean {
  return keyPattern.test(key);
}

/** Throws if `key` could escape the storage folder. Only a bug can cause this, since keys come from the functions above. */
export function assertKey(key: string): void {
  if (!isKey(key)) throw new Error(`"${key}" is not a storage key.`);
}

// A dot follows in the name of a file that a crash left while it was replacing another.
const contentInKey = /^(?:originals|renditions)\/(\d+)\/[0-9a-f]{2}\/([0-9a-f]{64})(?:[-.]|$)/;

/** Parses tenant and content from a key. Returns `undefined` for a file that Vitrine did not store. */
export function parseKey(
  key: string,
): { readonly key: string; readonly tenantId: number; readonly contentHash: string } | undefined {
  const [, tenantId, contentHash] = contentInKey.exec(key) ?? [];
  return tenantId && contentHash ? { key, tenantId: Number(tenantId), contentHash } : undefined;
}
