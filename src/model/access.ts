/**
 * What a caller may do, as `resource.action`. The names are part of the API: they are stored with keys and never renamed.
 * Each has a description for the documentation.
 */
export const scopes = {
  'images.read': 'Read image records, references and imports; download renditions; search and compare.',
  'images.write': 'Upload images, and add and remove references.',
  'images.delete': 'Delete and restore images.',
  'originals.read': 'Download originals.',
  'imports.write': 'Import images from URLs.',
  'jobs.manage': 'Inspect and retry jobs.',
  'purge.run': 'Permanently remove deleted or unused images.',
  'usage.read': 'Read image counts and storage usage.',
  'keys.manage': 'Create, list, rotate and revoke API keys.',
  'tenants.manage': "Read and change a tenant's settings.",
  'audit.read': 'Read the audit log.',
  'metrics.read': 'Read Prometheus metrics and detailed health (only keys without a tenant).',
} as const;

/** @see scopes */
export type Scope = keyof typeof scopes;

/** All scopes, in the order of the documentation. */
export const allScopes = Object.keys(scopes) as readonly Scope[];

/** Whether `text` is a scope. */
export function isScope(text: string): text is Scope {
  return Object.hasOwn(scopes, text);
}

const readerScopes: readonly Scope[] = ['images.read', 'originals.read'];

/** Named sets of scopes. A key with a tenant has them for this tenant only. */
export const roles = {
  admin: allScopes,
  editor: [...readerScopes, 'images.write', 'images.delete', 'imports.write', 'jobs.manage', 'usage.read'],
  reader: readerScopes,
} as const satisfies Readonly<Record<string, readonly Scope[]>>;

/** @see roles */
export type Role = keyof typeof roles;

/** All roles, the most powerful first. */
export const roleNames = Object.keys(roles) as readonly Role[];

/** Whether requests need an API key. `open`: every caller may do everything. `keys`: every caller needs a key. */
export const authModes = ['open', 'keys'] as const;

/** @see authModes */
export type AuthMode = (typeof authModes)[number];
