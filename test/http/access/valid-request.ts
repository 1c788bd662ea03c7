import type { Body } from '../generated/json-bodies.ts';
import { listParameters, type Operation, type Parameter, type Schema } from '../generated/operations.ts';
import { form } from '../../support/process/client.ts';
import type { RegisteredRoute } from './registered-routes.ts';
import type { ResourceKind, TenantFixture } from './tenant-fixture.ts';

/** What a path parameter identifies: a resource that belongs to a tenant, a tenant, or text without an owner. */
export type ParameterKind =
  | ResourceKind
  | 'tenant'
  | 'preset'
  | 'reference'
  | 'rendition-file'
  | 'other-image';

const collections: Readonly<Record<string, ResourceKind>> = {
  images: 'image',
  jobs: 'job',
  imports: 'import',
  keys: 'key',
  renderings: 'rendering',
};

const namedParameters: readonly (readonly [RegExp, ParameterKind])[] = [
  [/^(?:(?:asset|image)_id|uuid)$/, 'image'],
  [/^tenant/, 'tenant'],
  [/^preset$/, 'preset'],
  [/^ref$/, 'reference'],
  [/^file$/, 'rendition-file'],
  [/^other$/, 'other-image'],
  [/^group$/, 'group'],
];

/**
 * Returns what a path parameter identifies.
 * @throws {Error} for a parameter of a new kind, for which this file needs to know a valid value.
 */
export function kindOfParameter({ path }: Pick<RegisteredRoute, 'path'>, name: string): ParameterKind {
  const segments = path.split('/');
  const collection = segments[segments.indexOf(`{${name}}`) - 1] ?? '';
  if (collection === 'tenants') return 'tenant';
  const kind = namedParameters.find(([pattern]) => pattern.test(name))?.[1] ?? collections[collection];
  if (kind) return kind;
  throw new Error(
    `There is no valid value for the parameter ${name} of ${path}: add its kind to test/http/access/valid-request.ts.`,
  );
}

/** Names of the path parameters of a route. */
export function listPathParameters({ path }: Pick<RegisteredRoute, 'path'>): string[] {
  return Array.from(path.matchAll(/\{(\w+)\}/g), ([, name = '']) => name);
}

/** Returns the only path parameter that identifies something that belongs to a tenant. */
export function findOwnedParameter(
  route: RegisteredRoute,
): { readonly name: string; readonly kind: ResourceKind | 'tenant' } | undefined {
  for (const name of listPathParameters(route)) {
    const kind = kindOfParameter(route, name);
    if (kind !== 'preset' && kind !== 'reference' && kind !== 'rendition-file' && kind !== 'other-image')
      return { name, kind };
  }
  return undefined;
}

/** Whether a parameter or field accepts a text. */
export function accepts({ type, format, pattern, enum: values, maxLength }: Schema, text: string): boolean {
  if (values) return values.includes(text);
  if (type === 'integer' || type === 'number') return /^\d+$/.test(text);
  if (type !== undefined && type !== 'string') return false;
  if (format === 'uuid') return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
  if (format !== undefined) return false;
  return (
    text.length <= (maxLength ?? Number.POSITIVE_INFINITY) &&
    (pattern === undefined || new RegExp(pattern, 'u').test(text))
  );
}

/** Returns the forms of an id that the route accepts, such as number and UUID. */
export function selectIdForms(
  { operation, path }: RegisteredRoute,
  name: string,
  ids: readonly string[],
): string[] {
  const schema = operation?.parameters.find(
    (parameter) => parameter.in === 'path' && parameter.name === name,
  )?.schema;
  const forms = schema ? ids.filter((id) => accepts(schema, id)) : [...ids];
  if (forms.length === 0) throw new Error(`${path} accepts none of the ids ${ids.join(', ')}.`);
  return forms;
}

/** Fills a path template. Parameters without an owner get valid values of the tenant. */
export function fillPath(
  route: RegisteredRoute,
  fixture: TenantFixture,
  values: Readonly<Record<string, string>>,
): string {
  const free: Readonly<Partial<Record<ParameterKind, string>>> = {
    preset: 'card',
    reference: fixture.reference,
    'rendition-file': 'card.jpg',
    'other-image': fixture.otherImage,
  };
  return listPathParameters(route)
    .reduce((path, name) => {
      const value = values[name] ?? free[kindOfParameter(route, name)];
      if (value === undefined) throw new Error(`No value for ${name} of ${route.path}.`);
      return path.replace(`{${name}}`, encodeURIComponent(value));
    }, route.path)
    .replace('*', 'index.css');
}

/** Values of fields whose schema does not say which values exist, or that a request needs although they are optional. */
function knownFields({
  name,
  sourceUrl,
  uploadId,
}: Pick<TenantFixture, 'name' | 'sourceUrl' | 'uploadId'>): Readonly<Record<string, unknown>> {
  return {
    url: `${sourceUrl}?known`,
    urls: [`${sourceUrl}?known`],
    items: [{ url: `${sourceUrl}?known` }],
    upload: uploadId ?? '01a1fb5b-5201-72ab-9fbd-000000000000',
    code: 'source_refused',
    preset: 'card',
    presets: ['card'],
    expires_in: 60,
    role: 'reader',
    tenant: name,
    tenant_name: name,
  };
}

/** Optional fields that are part of every request. */
const alwaysGiven = new Set(['role']);

/** A field of a body that differs from the valid request. */
export type Override = Readonly<Record<string, unknown>>;

/** Returns a valid body of each media type, and of each alternative of its schema. */
export async function makeValidBodies(
  operation: Operation | undefined,
  fixture: Pick<TenantFixture, 'name' | 'sourceUrl' | 'uploadId' | 'picture'>,
  override: Override = {},
): Promise<(Body | undefined)[]> {
  if (!operation || Object.keys(operation.bodies).length === 0) return [undefined];
  const bodies = await Promise.all(
    Object.entries(operation.bodies).map(([type, schema]) => makeBodies(type, schema, fixture, override)),
  );
  return bodies.flat();
}

async function makeBodies(
  type: string,
  schema: Schema,
  fixture: Parameters<typeof makeValidBodies>[1],
  override: Override,
): Promise<Body[]> {
  if (type === 'text/csv') {
    const row = { url: `${fixture.sourceUrl}?csv`, ...override };
    const text = `${Object.keys(row).join(',')}\n${Object.values(row).join(',')}\n`;
    return [{ type, bytes: Buffer.from(text), validity: 'valid' }];
  }
  if (type === 'multipart/form-data') return [await encodeForm(schema, fixture, override)];
  const known = knownFields(fixture);
  return (schema.anyOf ?? [schema])
    .flatMap((alternative) =>
      (alternative.oneOf ?? [{}]).map((choice) => makeObject(alternative, choice, known)),
    )
    .map((fields) => ({
      type,
      bytes: Buffer.from(JSON.stringify({ ...fields, ...override })),
      validity: 'valid',
    }));
}

function makeObject(
  schema: Schema,
  choice: Schema,
  known: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const { properties = {}, required = [], minProperties = 0 } = schema;
  const names = new Set([
    ...required,
    ...(choice.required ?? []),
    ...Object.keys(properties).filter((name) => alwaysGiven.has(name)),
  ]);
  for (const name of Object.keys(properties)) if (names.size < minProperties) names.add(name);
  return Object.fromEntries([...names].map((name) => [name, makeValue(name, properties[name] ?? {}, known)]));
}

function makeValue(name: string, schema: Schema, known: Readonly<Record<string, unknown>>): unknown {
  if (Object.hasOwn(known, name)) return known[name];
  const { type, enum: values, minimum, maximum, format, items } = schema;
  if (values) return values[0];
  if (type === 'integer' || type === 'number') return Math.min(Math.max(minimum ?? 0, 100), maximum ?? 100);
  if (type === 'boolean') return false;
  if (type === 'array') return [makeValue(name, items ?? {}, known)];
  if (type === 'object') return makeObject(schema, {}, known);
  if (format === 'date-time') return '2026-01-01T00:00:00Z';
  return `${name}-1`;
}

async function encodeForm(
  { properties = {} }: Schema,
  { picture }: Pick<TenantFixture, 'picture'>,
  override: Override,
): Promise<Body> {
  const fields = Object.entries(override).filter(([name]) => name in properties);
  const data = form(...fields.map(([name, value]): [string, string] => [name, String(value)]), [
    'file',
    picture,
    'upload.jpg',
  ]);
  const request = new Request('http://localhost', { method: 'POST', body: data });
  return {
    type: request.headers.get('content-type') ?? undefined,
    bytes: Buffer.from(await request.arrayBuffer()),
    validity: 'valid',
  };
}

/** A place of a request that can name a tenant or an id: a query parameter or a field of a body. */
export interface NamingPlace {
  readonly in: 'query' | 'body';
  readonly name: string;
  readonly schema: Schema;
}

/** Returns every query parameter and every text field of a body. */
export function listNamingPlaces(operation: Operation): NamingPlace[] {
  const parameters = listParameters(operation, 'query').map(
    ({ name, schema }: Parameter): NamingPlace => ({
      in: 'query',
      name,
      schema,
    }),
  );
  const schemas = Object.values(operation.bodies).flatMap((schema) => schema.anyOf ?? [schema]);
  const fields = new Map<string, Schema>();
  for (const { properties = {} } of schemas)
    for (const [name, schema] of Object.entries(properties)) fields.set(name, unwrap(schema));
  for (const name of csvColumns(operation)) fields.set(name, { type: 'string' });
  return [...parameters, ...[...fields].map(([name, schema]): NamingPlace => ({ in: 'body', name, schema }))];
}

/** The schema does not describe the columns of CSV. */
function csvColumns({ bodies }: Operation): string[] {
  return 'text/csv' in bodies ? ['url', 'tenant', 'reference'] : [];
}

/** Returns the schema of a field that may also be `null`. */
function unwrap(schema: Schema): Schema {
  return schema.anyOf?.find(({ type }) => type !== 'null') ?? schema;
}
