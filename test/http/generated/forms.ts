import * as fc from 'fast-check';
import type { Body } from './json-bodies.ts';
import type { Schema } from './operations.ts';

/** Maximum upload size of the server under test. */
export const maxFileBytes = 100_000;

/** Values from which forms are generated. */
export interface FormParts {
  /** The form's schema in the OpenAPI document. */
  readonly schema: Schema;
  readonly pictures: readonly Buffer[];
  /** The first half of a picture. */
  readonly truncatedPicture: Buffer;
  readonly tenants: readonly string[];
}

const boundary = 'generated-boundary';
const formType = `multipart/form-data; boundary=${boundary}`;

type Part = { readonly head: string; readonly bytes: Uint8Array };

function makeFilePart(bytes: Uint8Array, filename = 'photo.jpg', field = 'file'): Part {
  return { head: `form-data; name="${field}"; filename="${filename}"\r\ncontent-type: image/jpeg`, bytes };
}

function makeFieldPart(name: string, value: string): Part {
  return { head: `form-data; name="${name}"`, bytes: Buffer.from(value) };
}

function encodeForm(parts: readonly Part[]): Buffer {
  const encodedParts = parts.flatMap(({ head, bytes }) => [
    Buffer.from(`--${boundary}\r\ncontent-disposition: ${head}\r\n\r\n`),
    bytes,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...encodedParts, Buffer.from(`--${boundary}--\r\n`)]);
}

const filenames = [
  'a.jpg',
  'Überwurf № 42 🪑.png',
  '../../etc/passwd',
  'x'.repeat(300),
  'a\u0000b',
  '%22',
  'C:\\a.jpg',
  '__proto__',
];

/** Generates valid forms with a picture and fields in any order. */
export function generateValidForm({ schema, pictures, tenants }: FormParts): fc.Arbitrary<Body> {
  const fieldName = findTenantField(schema);
  return fc
    .tuple(
      fc.constantFrom(...pictures),
      fc.constantFrom(...filenames),
      fc.option(fc.constantFrom(...tenants), { nil: undefined }),
      fc.boolean(),
      fc.boolean(),
    )
    .map(([picture, filename, tenant, areFieldsFirst, hasExtraField]) => {
      const fields = [
        ...(fieldName !== undefined && tenant !== undefined ? [makeFieldPart(fieldName, tenant)] : []),
        ...(hasExtraField ? [makeFieldPart('note', 'for another service')] : []),
      ];
      const file = makeFilePart(picture, filename);
      return {
        type: formType,
        bytes: encodeForm(areFieldsFirst ? [...fields, file] : [file, ...fields]),
        validity: 'valid',
      };
    });
}

/** Generates forms that are invalid for different reasons. */
export function generateInvalidForm({ schema, pictures, truncatedPicture }: FormParts): fc.Arbitrary<Body> {
  const [picture = truncatedPicture, otherPicture = truncatedPicture] = pictures;
  const validBytes = encodeForm([makeFilePart(picture)]);
  const fieldName = findTenantField(schema);
  const invalidTenants = ['a b', '', 'x'.repeat(65), 'ü', '../x', 'a\u0000'];
  const invalidTenantForms =
    fieldName === undefined
      ? []
      : invalidTenants.map((name) => [makeFieldPart(fieldName, name), makeFilePart(picture)]);
  const forms: Part[][] = [
    [],
    [makeFieldPart('tenant', 'default')],
    [makeFieldPart('file', 'text instead of a file')],
    [makeFilePart(picture, 'a.jpg', 'image')],
    [makeFilePart(picture), makeFilePart(otherPicture)],
    [makeFilePart(Buffer.alloc(0))],
    [makeFilePart(Buffer.from('not a picture'))],
    [makeFilePart(picture.subarray(0, 12))],
    [makeFilePart(truncatedPicture)],
    [makeFilePart(Buffer.alloc(maxFileBytes + 1, picture))],
    [makeFilePart(Buffer.alloc(5 * maxFileBytes, picture))],
    [makeFilePart(picture), ...Array.from({ length: 30 }, (_, i) => makeFieldPart(`field ${i}`, 'x'))],
    [makeFieldPart('note', 'x'.repeat(9_000)), makeFilePart(picture)],
    ...invalidTenantForms,
  ];
  const truncatedForms = [0, 1, 20, validBytes.length >> 1, validBytes.length - 8].map(
    (length): [string, Buffer] => [formType, validBytes.subarray(0, length)],
  );
  const wrongTypes = [
    'multipart/form-data',
    'multipart/form-data; boundary=other',
    'multipart/mixed; boundary=x',
    'image/png',
    'text/plain',
  ];
  return (
    fc
      .constantFrom<[string, Buffer]>(
        ...forms.map((parts): [string, Buffer] => [formType, encodeForm(parts)]),
        ...truncatedForms,
        ...wrongTypes.map((type): [string, Buffer] => [type, validBytes]),
      )
      // A worker detects a damaged picture only after the response to a queued upload.
      .map(([type, bytes]) => ({
        type,
        bytes,
        validity: bytes.includes(truncatedPicture) ? 'unsure' : 'invalid',
      }))
  );
}

function findTenantField({ properties = {} }: Schema): string | undefined {
  return Object.keys(properties).find((name) => name.startsWith('tenant'));
}
