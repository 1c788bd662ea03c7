import * as fc from 'fast-check';
import type { Body } from './json-bodies.ts';
import type { Schema } from './operations.ts';

/** Maximum upload size of the server under test. */
export const maxFileBytes = 100_000;

/** Contents of generated forms. */
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

function filePart(bytes: Uint8Array, filename = 'photo.jpg', field = 'file'): Part {
  return { head: `form-data; name="${field}"; filename="${filename}"\r\ncontent-type: image/jpeg`, bytes };
}

function fieldPart(name: string, value: string): Part {
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
export function validForm({ schema, pictures, tenants }: FormParts): fc.Arbitrary<Body> {
  const fieldName = tenantField(schema);
  return fc
    .tuple(
      fc.constantFrom(...pictures),
      fc.constantFrom(...filenames),
      fc.option(fc.constantFrom(...tenants), { nil: undefined }),
      fc.boolean(),
      fc.boolean(),
    )
    .map(([picture, filename, tenant, fieldsFirst, extraField]) => {
      const fields = [
        ...(fieldName !== undefined && tenant !== undefined ? [fieldPart(fieldName, tenant)] : []),
        ...(extraField ? [fieldPart('note', 'for another service')] : []),
      ];
      const file = filePart(picture, filename);
      return {
        type: formType,
        bytes: encodeForm(fieldsFirst ? [...fields, file] : [file, ...fields]),
        validity: 'valid',
      };
    });
}

/** Generates invalid forms, each for a different reason. */
export function invalidForm({ schema, pictures, truncatedPicture }: FormParts): fc.Arbitrary<Body> {
  const [picture = truncatedPicture, otherPicture = truncatedPicture] = pictures;
  const validBytes = encodeForm([filePart(picture)]);
  const fieldName = tenantField(schema);
  const invalidTenants = ['a b', '', 'x'.repeat(65), 'ü', '../x', 'a\u0000'];
  const invalidTenantForms =
    fieldName === undefined
      ? []
      : invalidTenants.map((name) => [fieldPart(fieldName, name), filePart(picture)]);
  const forms: Part[][] = [
    [],
    [fieldPart('tenant', 'default')],
    [fieldPart('file', 'text instead of a file')],
    [filePart(picture, 'a.jpg', 'image')],
    [filePart(picture), filePart(otherPicture)],
    [filePart(Buffer.alloc(0))],
    [filePart(Buffer.from('not a picture'))],
    [filePart(picture.subarray(0, 12))],
    [filePart(truncatedPicture)],
    [filePart(Buffer.alloc(maxFileBytes + 1, picture))],
    [filePart(Buffer.alloc(5 * maxFileBytes, picture))],
    [filePart(picture), ...Array.from({ length: 30 }, (_, i) => fieldPart(`field ${i}`, 'x'))],
    [fieldPart('note', 'x'.repeat(9_000)), filePart(picture)],
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
      // A worker detects a broken picture only after the response to a queued upload.
      .map(([type, bytes]) => ({
        type,
        bytes,
        validity: bytes.includes(truncatedPicture) ? 'unsure' : 'invalid',
      }))
  );
}

function tenantField({ properties = {} }: Schema): string | undefined {
  return Object.keys(properties).find((name) => name.startsWith('tenant'));
}
