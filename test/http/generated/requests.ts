import * as fc from 'fast-check';
import { invalidCsv, validCsv } from './csv-bodies.ts';
import type { Request } from './exchange.ts';
import { type FormParts, invalidForm, validForm } from './forms.ts';
import { type Body, mutatedJson, refusedBodies, validJson } from './json-bodies.ts';
import { type Operation, type Parameter, parametersIn, refusesUnknownKeys } from './operations.ts';
import { canBeInvalid, invalidText, type KnownValues, validValue } from './values.ts';

/** Inputs of the generator besides the document. */
export interface Sources {
  readonly known: KnownValues;
  readonly urls: readonly string[];
  readonly forms: Omit<FormParts, 'schema'>;
  /** Returns an existing id for a path parameter; some can be used only once. */
  take(operation: Operation, parameter: Parameter): string;
}

/** A request to a documented call with the expected outcome. */
export interface Case extends Request {
  readonly operation: Operation;
  readonly expected: 'success' | 'refusal' | 'any';
}

/** The generated parts of a request. Paths are filled in at the end, because some ids can be used only once. */
interface Draft {
  readonly query: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Body | undefined;
  readonly path?: Readonly<Record<string, string>>;
}

/** Generates valid requests: `count` per kind of body. */
export function validCases(operation: Operation, sources: Sources, count: number, seed: number): Case[] {
  const { known } = sources;
  return validBodies(operation, sources).flatMap((body) => {
    const drafts = fc.record({
      query: validQuery(operation, known),
      headers: fc.constantFrom(...harmless),
      body,
      path: validPath(operation, known),
    });
    return sample(drafts, count, seed).map((draft) => complete(operation, sources, draft, 'success'));
  });
}

/** Generates requests with one invalid part: `count` per kind of part. */
export function invalidCases(operation: Operation, sources: Sources, count: number, seed: number): Case[] {
  const bodies = validBodies(operation, sources);
  const addresses = [wrongPaths(operation), wrongQueries(operation)]
    .filter((ways) => ways.length > 0)
    .map((ways) =>
      fc.tuple(fc.oneof(...ways), fc.oneof(...bodies)).map(([draft, body]): Draft => ({ ...draft, body })),
    );
  return [...addresses, ...wrongBodies(operation, sources)].flatMap((drafts) =>
    sample(drafts, count, seed).map((draft) => {
      const unsure = draft.body?.verdict === 'unsure';
      return complete(operation, sources, draft, unsure ? 'any' : 'refusal');
    }),
  );
}

/** Picks evenly; the generator itself prefers the first items. */
function sample<Made>(from: fc.Arbitrary<Made>, count: number, seed: number): Made[] {
  return fc.sample(fc.noBias(from), { numRuns: count, seed });
}

/** Headers that only affect the format of a response. */
const harmless: readonly Record<string, string>[] = [
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

function validQuery(operation: Operation, known: KnownValues): fc.Arbitrary<string> {
  const parameters = parametersIn(operation, 'query');
  const pairs = parameters.map(({ name, schema }) =>
    fc.option(
      validValue(schema, name, known).map((value) => `${name}=${encodeURIComponent(String(value))}`),
      { nil: undefined },
    ),
  );
  return fc.tuple(...pairs).map((made) => made.filter((pair) => pair !== undefined).join('&'));
}

function validPath(operation: Operation, known: KnownValues): fc.Arbitrary<Record<string, string>> {
  const free = parametersIn(operation, 'path').filter(({ name }) => name === 'ref');
  const spelled = free.map(({ name, schema }) => {
    const text = validValue(schema, name, known).filter((value) => !/^\.{1,2}$/.test(String(value)));
    return [name, text.map((value) => encodeURIComponent(String(value)))] as const;
  });
  return fc.record(Object.fromEntries(spelled));
}

function validBodies({ bodies, needsBody }: Operation, sources: Sources): fc.Arbitrary<Body | undefined>[] {
  const ways = Object.entries(bodies).map(([type, schema]) => {
    if (type === 'text/csv') return validCsv(sources.urls);
    return type === 'application/json'
      ? validJson(schema, sources.known)
      : validForm({ ...sources.forms, schema });
  });
  return needsBody ? ways : [fc.constant(undefined), ...ways];
}

function wrongPaths(operation: Operation): fc.Arbitrary<Draft>[] {
  return parametersIn(operation, 'path').map((parameter) =>
    invalidText(parameter).map((text) => ({ query: '', path: { [parameter.name]: text } })),
  );
}

function wrongQueries(operation: Operation): fc.Arbitrary<Draft>[] {
  const wrong = parametersIn(operation, 'query')
    .filter(canBeInvalid)
    .flatMap((parameter) => {
      const text = invalidText(parameter);
      const one = text.map((value) => ({ query: `${parameter.name}=${value}` }));
      return [one, text.map((value) => ({ query: `${parameter.name}=${value}&${parameter.name}=1` }))];
    });
  if (!refusesUnknownKeys(operation)) return wrong;
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
  return [...wrong, fc.constantFrom(...keys).map((query) => ({ query }))];
}

function wrongBodies(operation: Operation, sources: Sources): fc.Arbitrary<Draft>[] {
  if (operation.method === 'GET') return [];
  const ways = Object.entries(operation.bodies).flatMap(([type, schema]) => {
    if (type === 'text/csv') return [invalidCsv];
    if (type !== 'application/json') return [invalidForm({ ...sources.forms, schema })];
    return [mutatedJson(schema, sources.known), refusedBodies(operation)];
  });
  const all = ways.length === 0 ? [refusedBodies(operation)] : ways;
  return all.map((way) => way.map((body) => ({ query: '', body })));
}

function complete(operation: Operation, sources: Sources, draft: Draft, expected: Case['expected']): Case {
  const { method, path } = operation;
  const filled = parametersIn(operation, 'path').reduce(
    (target, parameter) =>
      target.replace(
        `{${parameter.name}}`,
        () => draft.path?.[parameter.name] ?? sources.take(operation, parameter),
      ),
    path,
  );
  const target = draft.query === '' ? filled : `${filled}?${draft.query}`;
  const type = draft.body?.type;
  const headers = { ...draft.headers, ...(type !== undefined && { 'content-type': type }) };
  return { operation, method, target, headers, body: draft.body?.bytes, expected };
}
