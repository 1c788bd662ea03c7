import { AppError } from '../../errors.ts';
import type { Scope } from '../../model/access.ts';
import type { Principal } from '../../model/principal.ts';
import { runInTenant } from '../../tenant-scope.ts';
import type { Services } from '../services.ts';

/** The name of a use case: a service, or a method of one. */
export type UseCase = {
  [Name in keyof Services]: Services[Name] extends (...args: never[]) => unknown
    ? Name
    : `${Name}.${keyof Services[Name] & string}`;
}[keyof Services];

/**
 * The scope that each use case needs; `open` needs none, and a list means that all of them are needed. This is the only table of this kind: routes name the use cases that
 * they call, and the documentation is generated from it.
 */
export const requiredScopes = {
  bindToTenant: 'open',
  'checkHealth.ready': 'open',
  'checkHealth.detailed': 'metrics.read',
  ingestUpload: 'images.write',
  presignUpload: 'images.write',
  ingestPresigned: 'images.write',
  'ingestUrls.one': 'imports.write',
  'ingestUrls.many': 'imports.write',
  findImport: 'images.read',
  listImages: 'images.read',
  'retrieve.find': 'images.read',
  'retrieve.cached': 'images.read',
  'retrieve.rendition': 'images.read',
  'retrieve.original': 'originals.read',
  'deliver.cached': 'images.read',
  'deliver.cachedNegotiated': 'images.read',
  'deliver.load': 'images.read',
  'deliver.negotiate': 'images.read',
  'focalPoint.set': 'images.write',
  'focalPoint.remove': 'images.write',
  'references.list': 'images.read',
  'references.add': 'images.write',
  'references.remove': 'images.write',
  deleteImage: 'images.delete',
  restoreImage: 'images.delete',
  compareWithImage: 'images.read',
  tryPresets: 'images.read',
  findSimilar: 'images.read',
  findDuplicates: 'images.read',
  'judgePairs.set': 'images.write',
  'judgePairs.remove': 'images.write',
  'duplicateGroups.list': 'images.read',
  'duplicateGroups.resolve': ['images.write', 'images.delete'],
  searchByPicture: 'images.read',
  purgeUnused: 'purge.run',
  purgeDeleted: 'purge.run',
  'jobs.list': 'jobs.manage',
  'jobs.find': 'jobs.manage',
  'jobs.retry': 'jobs.manage',
  'jobs.retryAll': 'jobs.manage',
  'campaigns.start': 'jobs.manage',
  'campaigns.startReindexing': 'jobs.manage',
  'campaigns.list': 'jobs.manage',
  'campaigns.find': 'jobs.manage',
  'campaigns.pause': 'jobs.manage',
  'campaigns.resume': 'jobs.manage',
  'campaigns.cancel': 'jobs.manage',
  'usage.tenants': 'usage.read',
  'usage.tenant': 'usage.read',
  'usage.overall': 'usage.read',
  'tenantSettings.read': 'tenants.manage',
  'tenantSettings.replace': 'tenants.manage',
  'links.toRendition': 'images.read',
  'links.toOriginal': 'originals.read',
  'audit.list': 'audit.read',
  'audit.export': 'audit.read',
  'audit.verify': 'audit.read',
  'apiKeys.create': 'keys.manage',
  'apiKeys.list': 'keys.manage',
  'apiKeys.find': 'keys.manage',
  'apiKeys.rotate': 'keys.manage',
  'apiKeys.revoke': 'keys.manage',
  'apiKeys.revokeWithDescendants': 'keys.manage',
} as const satisfies Readonly<Record<UseCase, Scope | 'open' | readonly Scope[]>>;

/** Returns the scopes that a use case needs, all of them; `undefined` if there is no such use case. */
export function listRequiredScopes(useCase: string): readonly Scope[] | undefined {
  const table: Readonly<Record<string, Scope | 'open' | readonly Scope[]>> = requiredScopes;
  const entry = table[useCase];
  if (entry === undefined) return undefined;
  return entry === 'open' ? [] : [entry].flat();
}

/** Returns an error that names the missing scopes, unless the caller has one of them. */
export function missingScopeError(
  { scopes }: Pick<Principal, 'scopes'>,
  alternatives: readonly Scope[],
): AppError | undefined {
  if (alternatives.some((scope) => scopes.has(scope))) return undefined;
  const names = alternatives.map((scope) => `"${scope}"`).join(' or ');
  return new AppError('missing_scope', `This API key may not do this: it needs the scope ${names}.`, {
    details: { required_scopes: alternatives },
  });
}

/** @throws {AppError} `missing_scope` unless the caller has the scope. For what is not a use case. */
export function requireScope(principal: Pick<Principal, 'scopes'>, scope: Scope): void {
  const error = missingScopeError(principal, [scope]);
  if (error) throw error;
}

type AnyFunction = (...args: unknown[]) => unknown;

/**
 * Wraps every use case in a check that the caller has the scope that it needs, and binds its queries to the caller's tenant. Authorising in services rather than routes
 * means that a new route cannot forget the check.
 * @throws {Error} if a use case is not in the table, so that a server without a complete table does not start.
 */
export function authoriseServices(services: Services): Services {
  const wrapped = Object.entries(services).map(([name, service]: [string, unknown]) => [
    name,
    typeof service === 'function'
      ? authorise(name, service as AnyFunction)
      : Object.fromEntries(
          Object.entries(service as Record<string, AnyFunction>).map(([method, run]) => [
            method,
            authorise(`${name}.${method}`, run),
          ]),
        ),
  ]);
  return Object.fromEntries(wrapped) as Services;
}

function authorise(useCase: string, run: AnyFunction): AnyFunction {
  const scopes = listRequiredScopes(useCase);
  if (scopes === undefined)
    throw new Error(`The use case ${useCase} has no entry in the table of required scopes.`);
  if (scopes.length === 0) return run;
  return (principal, ...args) => {
    for (const scope of scopes) requireScope(principal as Principal, scope);
    return runInTenant((principal as Principal).tenantId, () => run(principal, ...args));
  };
}
