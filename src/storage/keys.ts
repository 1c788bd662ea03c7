/** Names the installation whose pictures lie beside it. */
export const installationKey = 'installation/id';

/** Key of an original: content-addressed inside its tenant, so tenants never learn of each other. */
export function originalKey(tenantId: number, contentHash: string): string {
  return `originals/${tenantId}/${contentHash.slice(0, 2)}/${contentHash}`;
}

/**
 * Key of a rendition: named by its source and its recipe, so making it again writes the same file. All renditions of a
 * picture share a folder, which is then synced once.
 */
export function renditionKey(tenantId: number, contentHash: string, preset: string, recipe: string): string {
  return `renditions/${tenantId}/${contentHash.slice(0, 2)}/${contentHash}-${preset}-${recipe}.jpg`;
}

/** Key of a file that a client sends past this process, until it is taken in. `id` is a UUID. */
export function incomingKey(tenantId: number, id: string): string {
  // Either spelling of a UUID is the same one, and keys have no capitals.
  return `incoming/${tenantId}/${id.toLowerCase()}`;
}

const keyPattern = /^(?:[a-z0-9][a-z0-9_.-]*\/)+[a-z0-9][a-z0-9_.-]*$/;

/** Whether `key` is spelled like those above. */
export function isKey(key: string): boolean {
  return keyPattern.test(key);
}

/** @throws when `key` could leave the store's folder. Keys are made above, so this is a bug and no user's mistake. */
export function assertKey(key: string): void {
  if (!isKey(key)) throw new Error(`"${key}" is not a storage key.`);
}

// A dot follows in the name of a file that a crash left behind in the middle of replacing another.
const contentInKey = /^(?:originals|renditions)\/(\d+)\/[0-9a-f]{2}\/([0-9a-f]{64})(?:[-.]|$)/;

/** The key with the tenant and the content that it names; `undefined` for a file that Vitrine did not put there. */
export function parseKey(
  key: string,
): { readonly key: string; readonly tenantId: number; readonly contentHash: string } | undefined {
  const [, tenantId, contentHash] = contentInKey.exec(key) ?? [];
  return tenantId && contentHash ? { key, tenantId: Number(tenantId), contentHash } : undefined;
}
