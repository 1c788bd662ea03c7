import { setTimeout as sleep } from 'node:timers/promises';
import { allScopes, type Role, roleNames, roles, type Scope } from '../../../src/model/access.ts';
import { call } from '../../support/process/client.ts';
import type { AccessRig } from './tenant-fixture.ts';

/** Who sends requests in the matrix. */
export interface Caller {
  readonly name: string;
  readonly key: string | undefined;
  /** Whether the server accepts the key. */
  readonly isKnown: boolean;
  /** The only tenant that the caller may see; `null` for all tenants. */
  readonly tenant: string | null;
  readonly scopes: ReadonlySet<Scope>;
  /** The scope that the caller has alone, or that it lacks; `undefined` for a role. */
  readonly decidingScope?: Scope;
}

interface KeyRequest {
  readonly role?: Role;
  readonly scopes?: readonly Scope[];
  readonly tenant?: string;
  readonly expires_in?: number;
}

async function createKey({ url, operatorKey }: AccessRig, name: string, request: KeyRequest) {
  const response = await call<{ key: string; id: string }>(`${url}/v1/keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${operatorKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name, ...request }),
  });
  if (response.status !== 201) throw new Error(response.bytes.toString());
  return response.body;
}

async function makeCaller(rig: AccessRig, name: string, request: KeyRequest): Promise<Caller> {
  const { key } = await createKey(rig, name, request);
  const scopes = new Set([...(request.role ? roles[request.role] : []), ...(request.scopes ?? [])]);
  return { name, key, isKnown: true, tenant: request.tenant ?? null, scopes };
}

const unknown = { isKnown: false, tenant: null, scopes: new Set<Scope>() } as const;

/** Creates callers whom the server does not know: without a key, and with keys that do not work anymore. */
export async function makeUnknownCallers(rig: AccessRig, tenant: string): Promise<Caller[]> {
  const revoked = await createKey(rig, 'revoked', { role: 'editor', tenant });
  await call(`${rig.url}/v1/keys/${revoked.id}`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${rig.operatorKey}` },
  });
  const expired = await createKey(rig, 'expired', { role: 'editor', tenant, expires_in: 1 });
  await sleep(1_100);
  return [
    { name: 'no key', key: undefined, ...unknown },
    { name: 'a revoked key', key: revoked.key, ...unknown },
    { name: 'an expired key', key: expired.key, ...unknown },
  ];
}

/** Creates callers with each scope alone, and callers with all scopes but one. */
export async function makeScopeCallers(rig: AccessRig, tenant: string): Promise<Caller[]> {
  const callers = allScopes.flatMap((scope) =>
    (
      [
        [`only ${scope}`, [scope]],
        [`all but ${scope}`, allScopes.filter((other) => other !== scope)],
      ] as const
    ).map(async ([name, scopes]) => ({
      ...(await makeCaller(rig, name, { scopes, tenant })),
      decidingScope: scope,
    })),
  );
  return Promise.all(callers);
}

/** Creates a caller of one tenant for each role. */
export function makeRoleCallers(rig: AccessRig, tenant: string): Promise<Caller[]> {
  return Promise.all(roleNames.map((role) => makeRoleCaller(rig, `${tenant}'s ${role}`, role, tenant)));
}

/** Creates a caller with one role. @param tenant default: all tenants */
export function makeRoleCaller(rig: AccessRig, name: string, role: Role, tenant?: string): Promise<Caller> {
  return makeCaller(rig, name, { role, ...(tenant !== undefined && { tenant }) });
}
