import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { answers } from './responses.ts';
import type { TakenBodies } from './bodies.ts';
import { simplifySchemas } from './simplify-schemas.ts';

type Transform = typeof jsonSchemaTransform;

/** Marks a call whose body may be missing, until the document is complete: Fastify's plugin calls every body required. */
const bodyMayBeMissing = 'x-body-may-be-missing';

/** Responses before any route, for every call that may have a body or write. */
const earlyErrors = answers({}, 'origin_not_allowed', 'body_too_large', 'unsupported_body');

function mayCarryBody(method: string | readonly string[]): boolean {
  return [method].flat().some((one) => one !== 'GET' && one !== 'HEAD');
}

/** Turns what a route says of itself into JSON Schema. */
export const transform: Transform = (document) => {
  const { takes, documented, ...schema } = document.schema;
  const response = {
    ...(mayCarryBody(document.route.method) && earlyErrors),
    ...(schema.response as object),
  };
  const made = jsonSchemaTransform({ ...document, schema: { ...schema, ...documented, response } });
  if (!takes) return made;
  const mayBeMissing = takes['application/json']?.safeParse({}).success === true;
  return {
    ...made,
    schema: {
      ...made.schema,
      body: { content: bodiesOf(document, takes) },
      ...(mayBeMissing && { [bodyMayBeMissing]: true }),
    },
  };
};

/** Each body by its media type, as JSON Schema. */
function bodiesOf(document: Parameters<Transform>[0], takes: TakenBodies) {
  return Object.fromEntries(
    Object.entries(takes).map(([type, schema]) => {
      const { schema: made } = jsonSchemaTransform({ ...document, schema: { body: schema } });
      return [type, { schema: made.body }];
    }),
  );
}

type Call = Record<string, unknown> & { requestBody?: { required?: boolean } };
type Calls = Record<string, Record<string, Call>>;

/** Completes the document: components in a fixed order, without those that nothing refers to. */
export const transformObject: typeof jsonSchemaTransformObject = (document) => {
  const made: { paths?: object; components?: { schemas?: object } } = jsonSchemaTransformObject(document);
  const paths = simplifySchemas(made.paths) as Calls;
  markBodies(paths);
  // Every schema is there twice, for input and for output.
  const schemas = { ...made.components?.schemas } as Record<string, object>;
  const used = new Set<string>();
  collectReferences(paths, schemas, used);
  const kept = [...used].toSorted().map((name) => [name, simplifySchemas(schemas[name])]);
  return Object.assign(made, { paths, components: { schemas: Object.fromEntries(kept) } }) as ReturnType<
    typeof jsonSchemaTransformObject
  >;
};

function markBodies(paths: Calls): void {
  for (const call of Object.values(paths).flatMap((calls) => Object.values(calls))) {
    if (call[bodyMayBeMissing] && call.requestBody) call.requestBody.required = false;
    delete call[bodyMayBeMissing];
  }
}

function collectReferences(from: unknown, schemas: Record<string, object>, used: Set<string>): void {
  for (const [, name = ''] of JSON.stringify(from).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    if (used.has(name)) continue;
    used.add(name);
    collectReferences(schemas[name], schemas, used);
  }
}
