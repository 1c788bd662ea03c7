/** The parts of a JSON Schema that requests are made from. */
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

/** A parameter of an address. */
export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly schema: Schema;
}

/** A call, as the served document describes it. */
export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  /** Bodies that it takes, by media type. */
  readonly bodies: Readonly<Record<string, Schema>>;
  readonly needsBody: boolean;
}

interface ServedDocument {
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

/** Every call of a document. */
export function operationsOf(document: unknown): Operation[] {
  return Object.entries((document as ServedDocument).paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
      bodies: Object.fromEntries(
        Object.entries(requestBody?.content ?? {}).map(([type, { schema }]) => [type, schema]),
      ),
      needsBody: requestBody?.required ?? false,
    })),
  );
}

/** Its parameters in one part of the address. */
export function parametersIn({ parameters }: Operation, part: Parameter['in']): Parameter[] {
  return parameters.filter((parameter) => parameter.in === part);
}

/** Whether an address knows no keys but those that are documented for it. */
export function refusesUnknownKeys({ path, parameters }: Operation): boolean {
  // Renditions look at their only key by themselves, and leave others alone.
  return path.startsWith('/v1/') && !parameters.some(({ name }) => name === 'v');
}
