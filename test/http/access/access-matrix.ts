import { defaultTenant } from '../../../src/model/tenant.ts';
import type { ApiResponse } from '../../support/process/client.ts';
import { sha256 } from '../../support/process/pictures.ts';
import { forEachConcurrently, type Request, sendRequest } from '../generated/exchange.ts';
import type { Body } from '../generated/json-bodies.ts';
import { expectDocumented } from '../support/documented.ts';
import type { Caller } from './callers.ts';
import type { RegisteredRoute } from './registered-routes.ts';
import type { AccessRig, Resource, TenantFixture } from './tenant-fixture.ts';
import {
  accepts,
  fillPath,
  findOwnedParameter,
  listNamingPlaces,
  makeValidBodies,
  type NamingPlace,
  type Override,
  selectIdForms,
} from './valid-request.ts';

/**
 * Sends every route's requests as every caller to a running server, and compares each response with what the route's scopes
 * and the tenant of the caller allow. It only needs a URL, so that it can also test a server whose queries were changed.
 */

type Outcome = 'open' | 'unauthenticated' | 'missing_scope' | 'tenant_not_allowed' | 'not_found' | 'success';

/** What the tests need to know about the server. */
export interface MatrixRig extends AccessRig {
  readonly routes: readonly RegisteredRoute[];
  /** Every tenant with data. A response must contain nothing of those that the caller may not see. */
  readonly tenants: readonly TenantFixture[];
  /** With `AUTH=open`, every caller may do everything. */
  readonly isOpen?: boolean;
}

/** Ids that nothing has. */
const unknownIds = {
  image: ['987654321', '01a1fb5b-5201-72ab-9fbd-00000000dead'],
  import: ['987654321', '01a1fb5b-5201-72ab-9fbd-00000000dead'],
  job: ['987654321'],
  key: ['00000000deadbeef'],
  rendering: ['987654321'],
  group: ['987654321'],
  tenant: ['no-such-tenant'],
} as const;

/** What the caller may do with the route, if the request names something of `owner`. */
export function expectOutcome(
  { isOpen }: MatrixRig,
  route: RegisteredRoute,
  caller: Caller,
  owner: TenantFixture,
): Outcome {
  if (route.scopes.length === 0) return 'open';
  if (isOpen) return 'success';
  if (!caller.isKnown) return 'unauthenticated';
  if (!route.scopes.some((scope) => caller.scopes.has(scope))) return 'missing_scope';
  // Metrics and health details cover all tenants.
  if (caller.tenant !== null && route.scopes.every((scope) => scope === 'metrics.read'))
    return 'tenant_not_allowed';
  const isForeign = caller.tenant !== null && caller.tenant !== owner.name;
  return isForeign && findOwnedParameter(route) ? 'not_found' : 'success';
}

/** Selects the routes of which the caller's chosen scopes decide. For a role, these are all routes. */
function selectRoutes({ routes }: MatrixRig, { decidingScope }: Caller): readonly RegisteredRoute[] {
  return decidingScope === undefined ? routes : routes.filter(({ scopes }) => scopes.includes(decidingScope));
}

/** Checks every route as this caller, with ids of `owner`. Returns a description of each wrong response. */
export async function checkCaller(rig: MatrixRig, caller: Caller, owner: TenantFixture): Promise<string[]> {
  const failures: string[] = [];
  const check = async (route: RegisteredRoute): Promise<void> => {
    const outcome = expectOutcome(rig, route, caller, owner);
    for await (const request of generateRequests(rig, route, caller, owner, outcome === 'success')) {
      const response = await sendRequest(rig.url, request);
      const problem =
        findLeak(rig, caller, request, response) ??
        findWrongOutcome(rig, route, caller, outcome, response) ??
        findUndocumented(route, response) ??
        (outcome === 'not_found'
          ? await compareWithUnknown(rig, route, caller, request, response)
          : undefined);
      if (problem !== undefined) failures.push(describe(caller, request, response, problem));
    }
  };
  // Actions on many things, such as a retry of all jobs, come last: they would change what the other requests act on.
  const { single = [], many = [] } = Object.groupBy(selectRoutes(rig, caller), (route) =>
    isSafe(route) || findOwnedParameter(route) ? 'single' : 'many',
  );
  await forEachConcurrently(single, check);
  await forEachConcurrently(many, check);
  return failures;
}

function isSafe({ method }: RegisteredRoute): boolean {
  return ['GET', 'HEAD', 'OPTIONS'].includes(method);
}

/** Generates the requests of a route: one for each form of the id and each kind of body. */
async function* generateRequests(
  rig: MatrixRig,
  route: RegisteredRoute,
  caller: Caller,
  owner: TenantFixture,
  mayChange: boolean,
): AsyncGenerator<Request> {
  const parameter = findOwnedParameter(route);
  // A foreign picture or URL would be the caller's own data once it is uploaded.
  const home = rig.tenants.find(({ name }) => name === (caller.tenant ?? defaultTenant)) ?? owner;
  const isUsedUp = mayChange && !isSafe(route);
  const variants = parameter
    ? selectIdForms(route, parameter.name, resourceOf(owner, parameter.kind).ids).length
    : 1;
  for (let variant = 0; variant < variants; variant += 1) {
    const bodyCount = (await makeValidBodies(route.operation, home)).length;
    for (let index = 0; index < bodyCount; index += 1) {
      const values: Record<string, string> = {};
      let override: Override = {};
      if (parameter) {
        const { name, kind } = parameter;
        const isCreated = isUsedUp && kind !== 'tenant';
        const { ids, fields = {} } = isCreated ? await owner.create(kind) : resourceOf(owner, kind);
        values[name] = selectIdForms(route, name, ids)[variant] ?? '';
        override = fields;
      }
      const uploadId = isUsedUp ? await createUpload(route, home) : home.uploadId;
      const bodies = await makeValidBodies(route.operation, { ...home, uploadId }, override);
      yield makeRequest(route, fillPath(route, owner, values), caller, bodies[index]);
    }
  }
}

function createUpload({ operation }: RegisteredRoute, owner: TenantFixture): Promise<string | undefined> {
  const names = operation ? listNamingPlaces(operation).map(({ name }) => name) : [];
  return names.includes('upload') ? owner.presign() : Promise.resolve(owner.uploadId);
}

function resourceOf(owner: TenantFixture, kind: keyof typeof unknownIds): Resource {
  return kind === 'tenant' ? { ids: [owner.name] } : owner.shared[kind];
}

function makeRequest({ method }: RegisteredRoute, target: string, { key }: Caller, body?: Body): Request {
  return {
    method,
    target,
    headers: {
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(body?.type !== undefined && { 'content-type': body.type }),
    },
    body: body?.bytes,
  };
}

function findWrongOutcome(
  { hasPresignedUploads }: MatrixRig,
  { method, scopes }: RegisteredRoute,
  caller: Caller,
  outcome: Outcome,
  response: ApiResponse<unknown>,
): string | undefined {
  const { status, headers } = response;
  const problem = method === 'HEAD' || status < 400 ? {} : readProblem(response);
  const expected = {
    open: () => status < 500 && status !== 401 && status !== 403,
    unauthenticated: () => status === 401 && headers.get('www-authenticate')?.startsWith('Bearer') === true,
    missing_scope: () => status === 403 && (method === 'HEAD' || namesScopes(problem, scopes)),
    tenant_not_allowed: () =>
      status === 403 && (method === 'HEAD' || problem['code'] === 'tenant_not_allowed'),
    not_found: () => status === 404,
    success: () => {
      const isNotOffered = problem['code'] === 'upload_not_offered' && !hasPresignedUploads;
      // A key with chosen scopes may lack what the body asks for, such as a scope of the key to create.
      const isLimited =
        caller.decidingScope !== undefined &&
        status === 403 &&
        (scopes.length > 1 || problem['code'] === 'key_exceeds_caller');
      // There may be nothing to render.
      const hasEnded = problem['code'] === 'rendering_finished';
      return status < 400 || isNotOffered || isLimited || hasEnded;
    },
  }[outcome];
  return expected()
    ? undefined
    : `expected ${outcome}${outcome === 'missing_scope' ? ` ${scopes.join(' or ')}` : ''}`;
}

/** The document describes every response, including those to callers who may not do what they ask for. */
function findUndocumented(
  { method, operation }: RegisteredRoute,
  response: ApiResponse<unknown>,
): string | undefined {
  if (!operation || method === 'HEAD') return undefined;
  try {
    expectDocumented(operation.method, operation.path, response);
    return undefined;
  } catch (error) {
    return String(error).slice(0, 400);
  }
}

function readProblem({ bytes }: ApiResponse<unknown>): Record<string, unknown> {
  try {
    return JSON.parse(bytes.toString()) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function namesScopes(
  { code, detail, required_scopes }: Record<string, unknown>,
  scopes: readonly string[],
): boolean {
  return (
    code === 'missing_scope' &&
    scopes.every((scope) => String(detail).includes(`"${scope}"`)) &&
    JSON.stringify(required_scopes) === JSON.stringify(scopes)
  );
}

/**
 * Returns what the response contains of a tenant that the caller may not see, except what the caller itself has sent.
 * @param sentBefore texts in earlier requests, which the server may have stored
 */
export function findLeak(
  { tenants, isOpen }: Pick<MatrixRig, 'tenants' | 'isOpen'>,
  caller: Caller,
  request: Request,
  { headers, bytes }: ApiResponse<unknown>,
  sentBefore: ReadonlySet<string> = new Set(),
): string | undefined {
  if (isOpen || (caller.isKnown && caller.tenant === null)) return undefined;
  const text = `${JSON.stringify([...headers])}\n${bytes.toString('latin1')}`;
  const sent = `${decodeURIComponent(request.target)}\n${Buffer.from(request.body ?? []).toString('latin1')}`;
  const hash = sha256(bytes);
  for (const { name, markers, fileHashes } of tenants) {
    if (caller.isKnown && name === caller.tenant) continue;
    const marker = [...markers].find(
      (candidate) => text.includes(candidate) && !sent.includes(candidate) && !sentBefore.has(candidate),
    );
    if (marker !== undefined) return `leaks ${marker} of ${name}`;
    if (bytes.length > 0 && fileHashes.has(hash)) return `leaks a file of ${name}`;
  }
  return undefined;
}

/** The response must not tell something that belongs to another tenant from something that does not exist. */
async function compareWithUnknown(
  { url }: MatrixRig,
  route: RegisteredRoute,
  caller: Caller,
  request: Request,
  response: ApiResponse<unknown>,
): Promise<string | undefined> {
  const parameter = findOwnedParameter(route);
  if (!parameter) return undefined;
  const position = route.path.split('/').indexOf(`{${parameter.name}}`);
  const id = request.target.split('/')[position]?.split('?')[0] ?? '';
  const unknownId =
    unknownIds[parameter.kind].find((candidate) => candidate.includes('-') === id.includes('-')) ??
    unknownIds[parameter.kind][0];
  const unknown = await sendRequest(url, {
    ...request,
    target: request.target.split('/').with(position, unknownId).join('/'),
  });
  const toComparable = ({ status, headers, bytes }: ApiResponse<unknown>, shownId: string) =>
    JSON.stringify([
      status,
      headers.get('content-type'),
      headers.get('cache-control'),
      bytes.toString().replaceAll(new RegExp(`\\b${RegExp.escape(shownId)}\\b`, 'g'), '<id>'),
    ]);
  const [actual, expected] = [toComparable(response, id), toComparable(unknown, unknownId)];
  return caller.isKnown && actual !== expected ? `differs from an unknown id: ${expected}` : undefined;
}

/**
 * Checks requests in which a query parameter or a field of a body names a tenant, or something that belongs to it, that the
 * caller may not see. Check queries first: the server stores fields, for example as the name of a key.
 */
export async function checkForeignNames(
  rig: MatrixRig,
  caller: Caller,
  owner: TenantFixture,
  foreign: TenantFixture,
  part: NamingPlace['in'],
): Promise<string[]> {
  const failures: string[] = [];
  const sentBefore = part === 'body' ? foreign.markers : new Set<string>();
  const allowedRoutes = rig.routes.filter(
    (route) =>
      route.operation && route.method !== 'HEAD' && expectOutcome(rig, route, caller, owner) === 'success',
  );
  const check = async (route: RegisteredRoute, place: NamingPlace, value: string): Promise<void> => {
    for (const request of await nameInRequest(route, caller, owner, place, value)) {
      const response = await sendRequest(rig.url, request);
      const problem =
        findLeak(rig, caller, request, response, sentBefore) ??
        (place.name.startsWith('tenant') ? findAcceptedTenant(response) : undefined) ??
        (response.status >= 500 ? 'expected no server error' : undefined);
      if (problem !== undefined) failures.push(describe(caller, request, response, problem));
    }
  };
  await forEachConcurrently(allowedRoutes, async (route) => {
    const places = route.operation ? listNamingPlaces(route.operation) : [];
    for (const place of places.filter((candidate) => candidate.in === part))
      for (const value of listForeignValues(place, foreign)) await check(route, place, value);
  });
  return failures;
}

function listForeignValues(
  { name, schema }: NamingPlace,
  { name: tenantName, markers, shared }: TenantFixture,
): string[] {
  if (name.startsWith('tenant')) return [tenantName];
  const ids = Object.values(shared).flatMap((resource) => resource.ids);
  return [...new Set([...ids, ...markers])].filter((value) => accepts(schema, value)).slice(0, 20);
}

async function nameInRequest(
  route: RegisteredRoute,
  caller: Caller,
  owner: TenantFixture,
  { in: part, name, schema }: NamingPlace,
  value: string,
): Promise<Request[]> {
  const parameter = findOwnedParameter(route);
  const ids = parameter ? selectIdForms(route, parameter.name, resourceOf(owner, parameter.kind).ids) : [];
  const path = fillPath(route, owner, parameter ? { [parameter.name]: ids[0] ?? '' } : {});
  const target = part === 'query' ? `${path}?${name}=${encodeURIComponent(value)}` : path;
  const isNumber = schema.type === 'integer' || schema.type === 'number';
  const fields = parameter ? resourceOf(owner, parameter.kind).fields : {};
  const override: Override =
    part === 'body' ? { ...fields, [name]: isNumber ? Number(value) : value } : { ...fields };
  const bodies = await makeValidBodies(route.operation, owner, override);
  return bodies.map((body) => makeRequest(route, target, caller, body));
}

/** An import rejects each line that names a different tenant. Other requests are rejected as a whole. */
function findAcceptedTenant(response: ApiResponse<unknown>): string | undefined {
  const { code, lines } = readProblem(response);
  const isRejected = response.status === 403 && code === 'tenant_not_allowed';
  const areLinesRejected =
    Array.isArray(lines) && lines.every((line: { code?: unknown }) => line.code === 'tenant_not_allowed');
  const isNotOffered = code === 'upload_not_offered';
  // A body of a different kind may not have the field.
  const isInvalid = response.status === 400;
  return isRejected || areLinesRejected || isNotOffered || isInvalid
    ? undefined
    : 'expected tenant_not_allowed';
}

function describe(
  caller: Caller,
  { method, target, body }: Request,
  { status, bytes }: ApiResponse<unknown>,
  problem: string,
): string {
  const sent = body ? ` ${Buffer.from(body).toString('latin1', 0, 120)}` : '';
  return `${method} ${target}${sent} as ${caller.name}: ${problem}; got ${status} ${bytes.toString('utf8', 0, 200)}`;
}
