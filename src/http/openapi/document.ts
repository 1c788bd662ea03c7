import swagger from '@fastify/swagger';
import type { FastifyInstance, FastifySchema } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { version } from '../../version.ts';
import { addErrorHeaders, describeAccess, describeHeaders, securitySchemes } from './access.ts';
import type { RequestBodies } from './bodies.ts';
import { addErrors } from './responses.ts';

const tags = [
  { name: 'Images', description: 'Upload, import, list and delete images.' },
  { name: 'Pictures', description: 'Download originals and renditions.' },
  {
    name: 'Delivery',
    description: 'URLs of renditions for web pages, CDNs and sales channels.',
  },
  { name: 'References', description: 'Record what uses an image.' },
  { name: 'Imports', description: 'Import many URLs in one request.' },
  { name: 'Similarity', description: 'Find similar images and duplicates.' },
  { name: 'Duplicates', description: 'Decide about pairs, and resolve groups of duplicates.' },
  { name: 'Comparison', description: 'Compare images by quality metrics.' },
  {
    name: 'Purge',
    description: 'Permanently remove images and their files. No other endpoints remove files.',
  },
  { name: 'Jobs', description: 'Inspect and retry jobs, for operators.' },
  {
    name: 'Re-renderings',
    description:
      'Make renditions again after a change of presets, and fingerprints and embeddings after an update.',
  },
  { name: 'Usage', description: 'Storage usage by tenant.' },
  { name: 'Access', description: 'Create, rotate and revoke API keys.' },
  { name: 'Health', description: 'For load balancers, supervisors and Prometheus.' },
  {
    name: 'Catalog dialect',
    description: 'For clients of an older catalog service. Unknown query parameters are ignored.',
  },
  {
    name: 'Similarity dialect',
    description:
      'For clients of an older similarity service. Limited to the tenant of the API key; without one, to the `default` tenant.',
  },
];

/** Makes `app` build an OpenAPI document of the routes that are registered later. */
export async function describeRoutes(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Vitrine',
        version,
        description:
          'An image pipeline for product catalogs. It stores originals, derives standard renditions, and serves both.\n\n`/v1` is the main API. Two dialects serve clients of older services. Trailing slashes are ignored, and every `GET` also supports `HEAD`. Errors are `application/problem+json`. Requests for a host name that the server does not serve get 421 on every route.\n\nUnless the server runs with `AUTH=open`, every operation that is not open needs an API key in `Authorization: Bearer` or `X-Api-Key`, and the key needs the scope that the operation states. Where several scopes are stated with "or", each allows a part of the operation.',
      },
      tags,
      components: { securitySchemes },
    },
    transform,
    transformObject,
  });
}

type Transform = typeof jsonSchemaTransform;

/** Temporary key for operations with an optional body, because the Swagger plugin marks all bodies as required. */
const optionalBodyMarker = 'x-optional-body';

/** Errors that can occur before the handler runs, for methods that allow a body. */
const earlyErrors = ['origin_not_allowed', 'body_too_large', 'unsupported_body'] as const;

function mayHaveBody(method: string | readonly string[]): boolean {
  return [method].flat().some((name) => name !== 'GET' && name !== 'HEAD');
}

/** Converts a route's schemas to JSON Schema. */
const transform: Transform = (input) => {
  if (input.schema?.hide) return jsonSchemaTransform(input);
  const transformed = jsonSchemaTransform({ ...input, schema: completeSchema(input) });
  const schema = {
    ...transformed.schema,
    response: addErrorHeaders(transformed.schema.response as Record<string, object>),
  };
  const { bodies } = input.schema;
  if (!bodies) return { ...transformed, schema };
  // Without a body, a PUT request would replace something with nothing.
  const isOptional =
    input.route.method !== 'PUT' && bodies['application/json']?.safeParse({}).success === true;
  return {
    ...transformed,
    schema: {
      ...schema,
      body: { content: toBodyContents(input, bodies) },
      ...(isOptional && { [optionalBodyMarker]: true }),
    },
  };
};

/** Adds to a route's schemas what follows from its method and from who may call it. */
function completeSchema({ route, schema }: Parameters<Transform>[0]): FastifySchema {
  const { bodies: _bodies, documentedOnly, ...routeSchema } = schema;
  const { fields, errors, sentences } = describeAccess(route);
  const headers = describeHeaders(route);
  const codes = [...(mayHaveBody(route.method) ? earlyErrors : []), ...errors];
  const description = [schema.description, ...sentences].filter(Boolean).join(' ');
  return {
    ...routeSchema,
    ...documentedOnly,
    ...fields,
    ...(headers && { headers }),
    ...(description && { description }),
    response: addErrors(schema.response as Record<string, unknown>, codes),
  };
}

/** Converts the schemas of a request body to JSON Schema. */
function toBodyContents(input: Parameters<Transform>[0], bodies: RequestBodies) {
  return Object.fromEntries(
    Object.entries(bodies).map(([type, body]) => {
      const { schema } = jsonSchemaTransform({ ...input, schema: { body } });
      return [type, { schema: schema.body }];
    }),
  );
}

type Operation = Record<string, unknown> & { requestBody?: { required?: boolean } };
type Paths = Record<string, Record<string, Operation>>;

/** Completes the document: simplifies its schemas, marks optional bodies, and removes unused components. */
const transformObject: typeof jsonSchemaTransformObject = (input) => {
  const document: { paths?: object; components?: { schemas?: object } } = jsonSchemaTransformObject(input);
  const paths = simplifySchemas(document.paths) as Paths;
  markOptionalBodies(paths);
  // Zod emits every schema twice, for input and for output. Only schemas that are used are kept.
  const schemas = { ...document.components?.schemas } as Record<string, object>;
  const usedNames = new Set<string>();
  collectUsedNames(paths, schemas, usedNames);
  const components = [...usedNames].toSorted().map((name) => [name, simplifySchemas(schemas[name])]);
  return Object.assign(document, {
    paths,
    components: { ...document.components, schemas: Object.fromEntries(components) },
  }) as ReturnType<typeof jsonSchemaTransformObject>;
};

function markOptionalBodies(paths: Paths): void {
  for (const operation of Object.values(paths).flatMap((operations) => Object.values(operations))) {
    if (operation[optionalBodyMarker] && operation.requestBody) operation.requestBody.required = false;
    delete operation[optionalBodyMarker];
  }
}

/** Adds to `usedNames` the names of all components that `node` refers to, directly or through other components. */
function collectUsedNames(node: unknown, schemas: Record<string, object>, usedNames: Set<string>): void {
  for (const [, name = ''] of JSON.stringify(node).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    if (usedNames.has(name)) continue;
    usedNames.add(name);
    collectUsedNames(schemas[name], schemas, usedNames);
  }
}

/**
 * Removes noise that Zod generates: the bounds of safe integers and the patterns of named formats. Also removes
 * `additionalProperties: false` from responses, because later versions of the API may add fields. Request bodies
 * keep it, because requests with unknown fields are rejected.
 */
function simplifySchemas(node: unknown, isRequest = false): unknown {
  if (Array.isArray(node)) return node.map((entry) => simplifySchemas(entry, isRequest));
  if (node === null || typeof node !== 'object') return node;
  const entries = Object.entries(node).filter(([key, value]) => !isNoise(key, value, node, isRequest));
  return Object.fromEntries(
    entries.map(([key, value]) => [key, simplifyValue(key, value, isRequest || key === 'requestBody')]),
  );
}

function simplifyValue(key: string, value: unknown, isRequest: boolean): unknown {
  const simplifiedValue = simplifySchemas(value, isRequest);
  const allowsAnything =
    key === 'additionalProperties' &&
    simplifiedValue instanceof Object &&
    Object.keys(simplifiedValue).length === 0;
  return allowsAnything ? true : simplifiedValue;
}

function isNoise(key: string, value: unknown, schema: object, isRequest: boolean): boolean {
  if (key === 'minimum') return value === Number.MIN_SAFE_INTEGER;
  if (key === 'maximum') return value === Number.MAX_SAFE_INTEGER;
  if (key === 'pattern') return 'format' in schema;
  return !isRequest && key === 'additionalProperties' && value === false;
}
