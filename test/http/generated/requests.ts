import * as fc from 'fast-check';
import { invalidCsv, generateValidCsv } from './csv-bodies.ts';
import type { Request } from './exchange.ts';
import { type FormParts, generateInvalidForm, generateValidForm } from './forms.ts';
import { type Body, generateMutatedJson, generateRejectedBodies, generateValidJson } from './json-bodies.ts';
import { type Operation, type Parameter, listParameters, rejectsUnknownKeys } from './operations.ts';
import { canBeInvalid, generateInvalidText, type KnownValues, generateValidValue } from './values.ts';

/** The generator’s inputs in addition to the OpenAPI document. */
export interface Sources {
  readonly knownValues: KnownValues;
  readonly urls: readonly string[];
  readonly forms: Omit<FormParts, 'schema'>;
  /** Returns an existing id or name for a path parameter. Some ids can be used only once. */
  takeValue(operation: Operation, parameter: Parameter): string;
}

/** A request to a documented operation, with the expected outcome. */
export interface Case extends Request {
  readonly operation: Operation;
  readonly expected: 'success' | 'rejection' | 'any';
}

/** The generated parts of a request. Paths are filled in at the end, because some ids can be used only once. */
interface Draft {
  readonly query: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Body | undefined;
  readonly path?: Readonly<Record<string, string>>;
}

/** Generates `count` valid requests per kind of body. */
export function generateValidCases(
  operation: Operation,
  sources: Sources,
  count: number,
  seed: number,
): Case[] {
  const { knownValues } = sources;
  return generateValidBodies(operation, sources).flatMap((body) => {
    const drafts = fc.record({
      query: generateValidQuery(operation, knownValues),
      headers: fc.constantFrom(...harmlessHeaders),
      body,
      path: generateValidPath(operation, knownValues),
    });
    return sample(drafts, count, seed).map((draft) => completeCase(operation, sources, draft, 'success'));
  });
}

/** Generates `count` requests per kind of invalid part. */
export function generateInvalidCases(
  operation: Operation,
  sources: Sources,
  count: number,
  seed: number,
): Case[] {
  const bodies = generateValidBodies(operation, sources);
  const targets = [generateInvalidPaths(operation), generateInvalidQueries(operation)]
    .filter((drafts) => drafts.length > 0)
    .map((drafts) =>
      fc.tuple(fc.oneof(...drafts), fc.oneof(...bodies)).map(([draft, body]): Draft => ({ ...draft, body })),
    );
  return [...targets, ...generateInvalidBodies(operation, sources)].flatMap((drafts) =>
    sample(drafts, count, seed).map((draft) => {
      const isUnsure = draft.body?.validity === 'unsure';
      return completeCase(operation, sources, draft, isUnsure ? 'any' : 'rejection');
    }),
  );
}

/** Samples values evenly. By default, fast-check prefers the first values. */
function sample<Value>(from: fc.Arbitrary<Value>, count: number, seed: number): Value[] {
  return fc.sample(fc.noBias(from), { numRuns: count, seed });
}

/** Headers that can be added to a valid request. */
const harmlessHeaders: readonly Record<string, string>[] = [
  {},
  {},
  { accept: 'application/json' },
  { accept: 'text/html,*/*;q=0.8' },
  { accept: 'text/plain' },
  { origin: 'http://localhost:3000' },
  { origin: 'http://localhost:8080', 'sec-fetch-site': 'cross-site' },
  { range: 'bytes=0-9' },
  { 'if-none-match': '*' },
  { 'if-none-match': '"other"', range: 'bytes=-1' },
  { 'accept-encoding': 'gzip, br' },
];

function generateValidQuery(operation: Operation, knownValues: KnownValues): fc.Arbitrary<string> {
  const parameters = listParameters(operation, 'query').filter(({ name }) => !isPartOfLink(operation, name));
  const pairs = parameters.map(({ name, schema }) =>
    fc.option(
      generateValidValue(schema, name, knownValues).map(
        (value) => `${name}=${encodeURIComponent(String(value))}`,
      ),
      { nil: undefined },
    ),
  );
  return fc.tuple(...pairs).map((chosenPairs) => chosenPairs.filter((pair) => pair !== undefined).join('&'));
}

const linkParameters = new Set(['expires', 'key', 'signature', 'tenant']);

/** Returns whether a query parameter belongs to a signed link. Only the server can sign links. */
function isPartOfLink(operation: Operation, name: string): boolean {
  const isLink = listParameters(operation, 'query').some((parameter) => parameter.name === 'signature');
  return isLink && linkParameters.has(name);
}

function generateValidPath(
  operation: Operation,
  knownValues: KnownValues,
): fc.Arbitrary<Record<string, string>> {
  const freeText = listParameters(operation, 'path').filter(({ name }) => name === 'ref');
  const values = freeText.map(({ name, schema }) => {
    const text = generateValidValue(schema, name, knownValues).filter(
      (value) => !/^\.{1,2}$/.test(String(value)),
    );
    return [name, text.map((value) => encodeURIComponent(String(value)))] as const;
  });
  return fc.record(Object.fromEntries(values));
}

function generateValidBodies(
  { bodies, needsBody }: Operation,
  sources: Sources,
): fc.Arbitrary<Body | undefined>[] {
  const generators = Object.entries(bodies).map(([type, schema]) => {
    if (type === 'text/csv') return generateValidCsv(sources.urls);
    return type === 'application/json'
      ? generateValidJson(schema, sources.knownValues)
      : generateValidForm({ ...sources.forms, schema });
  });
  return needsBody ? generators : [fc.constant(undefined), ...generators];
}

function generateInvalidPaths(operation: Operation): fc.Arbitrary<Draft>[] {
  return listParameters(operation, 'path').map((parameter) =>
    generateInvalidText(parameter).map((text) => ({ query: '', path: { [parameter.name]: text } })),
  );
}

function generateInvalidQueries(operation: Operation): fc.Arbitrary<Draft>[] {
  const invalidDrafts = listParameters(operation, 'query')
    .filter(canBeInvalid)
    .flatMap((parameter) => {
      const text = generateInvalidText(parameter);
      const singleValue = text.map((value) => ({ query: `${parameter.name}=${value}` }));
      return [
        singleValue,
        text.map((value) => ({ query: `${parameter.name}=${value}&${parameter.name}=1` })),
      ];
    });
  if (!rejectsUnknownKeys(operation)) return invalidDrafts;
  const keys = [
    'limits=1',
    'LIMIT=1',
    'limit[]=1',
    'constructor=1',
    '%00=1',
    'a%5B%5D=1',
    'tenant[a]=b',
    '=1',
  ];
  return [...invalidDrafts, fc.constantFrom(...keys).map((query) => ({ query }))];
}

function generateInvalidBodies(operation: Operation, sources: Sources): fc.Arbitrary<Draft>[] {
  if (operation.method === 'GET') return [];
  const generators = Object.entries(operation.bodies).flatMap(([type, schema]) => {
    if (type === 'text/csv') return [invalidCsv];
    if (type !== 'application/json') return [generateInvalidForm({ ...sources.forms, schema })];
    return [generateMutatedJson(schema, sources.knownValues), generateRejectedBodies(operation)];
  });
  const allGenerators = generators.length === 0 ? [generateRejectedBodies(operation)] : generators;
  return allGenerators.map((generator) => generator.map((body) => ({ query: '', body })));
}

function completeCase(
  operation: Operation,
  sources: Sources,
  draft: Draft,
  expected: Case['expected'],
): Case {
  const { method, path } = operation;
  const filledPath = listParameters(operation, 'path').reduce(
    (target, parameter) =>
      target.replace(
        `{${parameter.name}}`,
        () => draft.path?.[parameter.name] ?? sources.takeValue(operation, parameter),
      ),
    path,
  );
  const target = draft.query === '' ? filledPath : `${filledPath}?${draft.query}`;
  const type = draft.body?.type;
  const headers = { ...draft.headers, ...(type !== undefined && { 'content-type': type }) };
  return { operation, method, target, headers, body: draft.body?.bytes, expected };
}
