import type { RenditionFormat } from '../model/preset.ts';

/** Key of the marker file, which contains the id of the installation that owns the storage location. */
export const installationKey = 'installation/id';

/**
 * Returns the content-addressed key of an original. Tenants never share files, so that no tenant can find out which
 * files other tenants have stored.
 */
export function originalKey(tenantId: number, contentHash: string): string {
  return `originals/${tenantId}/${contentHash.slice(0, 2)}/${contentHash}`;
}

/**
 * Returns the key of a rendition. It contains the content hash of the original and the recipe (a hash of everything
 * else that determines the rendition), so that making the rendition again replaces the same file. All renditions of
 * an original are in the same folder.
 */
export function renditionKey(
  tenantId: number,
  contentHash: string,
  preset: string,
  recipe: string,
  format: RenditionFormat = 'jpeg',
  density = 1,
): string {
  const name = density === 1 ? preset : `${preset}.${density}x`;
  const folder = `renditions/${tenantId}/${contentHash.slice(0, 2)}`;
  return `${folder}/${contentHash}-${name}-${recipe}.${format === 'jpeg' ? 'jpg' : format}`;
}

/** Returns the key of a direct upload that has not been ingested yet. @param id a UUID */
export function incomingKey(tenantId: number, id: string): string {
  // UUIDs are case-insensitive, but all letters in keys are lower-case.
  return `incoming/${tenantId}/${id.toLowerCase()}`;
}

const keyPattern = /^(?:[a-z0-9][a-z0-9_.-]*\/)+[a-z0-9][a-z0-9_.-]*$/;

/** Whether `key` has the syntax of a storage key. */
export function isKey(key: string): boolean {
  return keyPattern.test(key);
}

/**
 * Throws if `key` is not a storage key. Without this check, a bug could give access to files outside the storage
 * folder.
 */
export function assertKey(key: string): void {
  if (!isKey(key)) throw new Error(`"${key}" is not a storage key.`);
}

// The hash may be followed by a dot, because earlier versions used such names for temporary files, and a crash may have
// left these files behind.
const contentKeyPattern = /^(?:originals|renditions)\/(\d+)\/[0-9a-f]{2}\/([0-9a-f]{64})(?:[-.]|$)/;

/**
 * Extracts the tenant id and the content hash from a key. Returns `undefined` for a file that Vitrine did not store.
 */
export function parseKey(
  key: string,
): { readonly key: string; readonly tenantId: number; readonly contentHash: string } | undefined {
  const [, tenantId, contentHash] = contentKeyPattern.exec(key) ?? [];
  return tenantId && contentHash ? { key, tenantId: Number(tenantId), contentHash } : undefined;
}
