import * as fc from 'fast-check';
import type { Body } from './json-bodies.ts';
import type { Schema } from './operations.ts';

/** Maximum upload size of the server under test. */
export const maxFileBytes = 100_000;

/** Parts of generated forms. */
export interface FormParts {
  /** Schema of the form in the document. */
  readonly schema: Schema;
  readonly pictures: readonly Buffer[];
  /** The first half of a picture. */
  readonly broken: Buffer;
  readonly tenants: readonly string[];
}

const boundary = 'generated-boundary';
const ofForms = `multipart/form-data; boundary=${boundary}`;

type Part = { readonly head: string; readonly bytes: Uint8Array };

function filePart(bytes: Uint8Array, filename = 'photo.jpg', field = 'file'): Part {
  return { head: `form-data; name="${field}"; filename="${filename}"\r\ncontent-type: image/jpeg`, bytes };
}

function fieldPart(name: string, value: string): Part {
  return { head: `form-data; name="${name}"`, bytes: Buffer.from(value) };
}

function write(parts: readonly Part[]): Buffer {
  const written = parts.flatMap(({ head, bytes }) => [
    Buffer.from(`--${boundary}\r\ncontent-disposition: ${head}\r\n\r\n`),
    bytes,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...written, Buffer.from(`--${boundary}--\r\n`)]);
}

const names = [
  'a.jpg',
  'Überwurf № 42 🪑.png',
  '../../etc/passwd',
  'x'.repeat(300),
  'a\u0000b',
  '%22',
  'C:\\a.jpg',
  '__proto__',
];

/** Valid forms with a picture and fields in any order. */
export function validForm({ schema, pictures, tenants }: FormParts): fc.Arbitrary<Body> {
  const field = tenantField(schema);
  return fc
    .tuple(
      fc.constantFrom(...pictures),
      fc.constantFrom(...names),
      fc.option(fc.constantFrom(...tenants), { nil: undefined }),
      fc.boolean(),
      fc.boolean(),
    )
    .map(([picture, name, tenant, first, more]) => {
      const fields = [
        ...(field !== undefined && tenant !== undefined ? [fieldPart(field, tenant)] : []),
        ...(more ? [fieldPart('note', 'for another service')] : []),
      ];
      const file = filePart(picture, name);
      return { type: ofForms, bytes: write(first ? [...fields, file] : [file, ...fields]), verdict: 'valid' };
    });
}

/** Invalid forms, each for a different reason. */
export function invalidForm({ schema, pictures, broken }: FormParts): fc.Arbitrary<Body> {
  const [one = broken, other = broken] = pictures;
  const whole = write([filePart(one)]);
  const field = tenantField(schema);
  const noTenants = ['a b', '', 'x'.repeat(65), 'ü', '../x', 'a\u0000'];
  const badTenants =
    field === undefined ? [] : noTenants.map((name) => [fieldPart(field, name), filePart(one)]);
  const forms: Part[][] = [
    [],
    [fieldPart('tenant', 'default')],
    [fieldPart('file', 'text in place of a file')],
    [filePart(one, 'a.jpg', 'image')],
    [filePart(one), filePart(other)],
    [filePart(Buffer.alloc(0))],
    [filePart(Buffer.from('no picture at all'))],
    [filePart(one.subarray(0, 12))],
    [filePart(broken)],
    [filePart(Buffer.alloc(maxFileBytes + 1, one))],
    [filePart(Buffer.alloc(5 * maxFileBytes, one))],
    [filePart(one), ...Array.from({ length: 30 }, (_, at) => fieldPart(`field ${at}`, 'x'))],
    [fieldPart('note', 'x'.repeat(9_000)), filePart(one)],
    ...badTenants,
  ];
  const cuts = [0, 1, 20, whole.length >> 1, whole.length - 8].map((at): [string, Buffer] => [
    ofForms,
    whole.subarray(0, at),
  ]);
  const wrongTypes = [
    'multipart/form-data',
    'multipart/form-data; boundary=another',
    'multipart/mixed; boundary=x',
    'image/png',
    'text/plain',
  ];
  return (
    fc
      .constantFrom<[string, Buffer]>(
        ...forms.map((parts): [string, Buffer] => [ofForms, write(parts)]),
        ...cuts,
        ...wrongTypes.map((type): [string, Buffer] => [type, whole]),
      )
      // If a worker decodes the picture, a broken one is found after the response.
      .map(([type, bytes]) => ({ type, bytes, verdict: bytes.includes(broken) ? 'unsure' : 'invalid' }))
  );
}

function tenantField({ properties = {} }: Schema): string | undefined {
  return Object.keys(properties).find((name) => name.startsWith('tenant'));
}
