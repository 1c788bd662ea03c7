/** The part of JSON Schema that the generator supports. */
export interface Schema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly pattern?: string;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

/** A path or query parameter. */
export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly schema: Schema;
}

/** An operation in the OpenAPI document that the server returns. */
export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  /** Request bodies by media type. */
  readonly bodies: Readonly<Record<string, Schema>>;
  readonly needsBody: boolean;
}

interface ServedDocument {
  readonly components: unknown;
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          {
            readonly parameters?: readonly Parameter[];
            readonly requestBody?: {
              readonly required: boolean;
              readonly content: Readonly<Record<string, { readonly schema: Schema }>>;
            };
          }
        >
      >
    >
  >;
}

/** Returns every operation in an OpenAPI document. */
export function listOperations(document: unknown): Operation[] {
  const { paths, components } = document as ServedDocument;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
      bodies: Object.fromEntries(
        Object.entries(requestBody?.content ?? {}).map(([type, { schema }]) => [
          type,
          resolveReferences(schema, { components }) as Schema,
        ]),
      ),
      needsBody: requestBody?.required ?? false,
    })),
  );
}

/** Replaces references to other parts of the document with these parts. */
function resolveReferences(value: unknown, document: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => resolveReferences(item, document));
  if (value === null || typeof value !== 'object') return value;
  const { $ref } = value as { readonly $ref?: string };
  if ($ref !== undefined) {
    const keys = $ref.replace(/^#\//, '').split('/');
    const target = keys.reduce<unknown>((part, key) => (part as Record<string, unknown>)[key], document);
    return resolveReferences(target, document);
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [key, resolveReferences(part, document)]),
  );
}

/** Returns the path or query parameters of an operation. */
export function listParameters({ parameters }: Operation, part: Parameter['in']): Parameter[] {
  return parameters.filter((parameter) => parameter.in === part);
}

/** Returns whether an operation rejects unknown query parameters. */
export function rejectsUnknownKeys({ path, parameters }: Operation): boolean {
  // Operations with a version parameter, `v`, ignore unknown parameters.
  return path.startsWith('/v1/') && !parameters.some(({ name }) => name === 'v');
}
