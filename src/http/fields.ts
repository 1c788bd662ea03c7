import { z } from 'zod';
import { isTenantName, tenantName } from '../model/tenant.ts';
import type { PageRequest } from '../model/page.ts';
import { describeReferenceFault, newReferenceName, referenceName } from '../services/references.ts';
import { cursorForm, readCursor } from './cursor.ts';
import { showValue } from './validation-sentences.ts';

/** Longest time that a request may name, in days. */
export const maxDays = 36_500;

/** A tenant's name, where it narrows a list. */
export const tenantField = z
  .string()
  .refine(isTenantName, 'is no tenant name: 1 to 64 letters, digits, ".", "_" or "-"')
  .meta({
    pattern: tenantName.source,
    description: 'Name of a tenant: 1 to 64 letters, digits, `.`, `_` or `-`.',
  });

/** A time with a zone. */
export const timeField = z.iso.datetime({ offset: true, error: ({ input }) => describeTimeFault(input) });

function describeTimeFault(input: unknown): string {
  const it = `(it is ${showValue(input)})`;
  const example = '2026-01-31T12:00:00Z';
  if (typeof input !== 'string') return `must be a time such as ${example} ${it}`;
  // In an address, "+" means a space.
  if (/T[\d:.]+ \d\d:?\d\d$/.test(input)) return `has a space where its zone begins ${it}: write "+" as %2B`;
  if (z.iso.datetime({ local: true }).safeParse(input).success)
    return `has no zone ${it}: write ${example}, say`;
  return `must be a time with a zone, such as ${example} ${it}`;
}

/** Text that a person could have typed: no control characters, which no database or log takes well. */
export function textField(maximum: number) {
  return z
    .string()
    .max(maximum)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must not have control characters');
}

const aboutReference =
  'Who uses the image: 1 to 200 printable characters, such as `product-42`. Compared in NFC.';

/** Name of a reference, for lookups. */
export const referenceField = nameField(referenceName);

/** Name of a reference to add. */
export const newReferenceField = nameField(newReferenceName);

function nameField(form: RegExp) {
  return z
    .string()
    .normalize('NFC')
    .regex(form, { error: ({ input }) => describeReferenceFault(String(input)) })
    .describe(aboutReference);
}

/** A whole number in an address. `documented` is what the documentation tells beside its bounds. */
export function wholeNumberField(minimum: number, maximum: number, documented: string) {
  return numberField('a whole number', /^-?\d{1,15}$/, minimum, maximum).meta({
    type: 'integer',
    minimum,
    maximum,
    description: documented,
  });
}

/** As programs write fractions, with all their digits: 7 * 0.1 is 0.7000000000000001 in most languages. */
const decimalForm = /^-?(\d{1,15}(\.\d{0,40})?|\.\d{1,40})(e-?\d{1,3})?$/i;

/** A number from 0 to 1 in an address. */
export function fractionField(documented: string) {
  return numberField('a number', decimalForm, 0, 1).meta({
    type: 'number',
    minimum: 0,
    maximum: 1,
    description: documented,
  });
}

/** By hand, because JavaScript takes an empty text, `0x10` and a list of one for numbers. */
function numberField(kind: string, form: RegExp, minimum: number, maximum: number) {
  return z.string().transform((text, context) => {
    const value = Number(text);
    if (form.test(text) && value >= minimum && value <= maximum) return value;
    const bounds = `from ${minimum.toLocaleString('en-US')} to ${maximum.toLocaleString('en-US')}`;
    context.addIssue({ code: 'custom', message: `must be ${kind} ${bounds} (it is ${showValue(text)})` });
    return z.NEVER;
  });
}

const cursorField = z
  .string()
  .transform((text, context) => {
    const after = readCursor(text);
    if (after !== undefined) return after;
    context.addIssue({ code: 'custom', message: 'is not one that a list gave as "next_cursor"' });
    return z.NEVER;
  })
  .meta({
    pattern: cursorForm.source,
    description: '`next_cursor` of the page before. It wins over `offset`.',
  });

/** Largest `offset`: whoever wants more goes by cursor, which stays fast. */
const maxOffset = 1_000_000;

/** `limit` and `offset` of a list. */
export function offsetPageFields(limit: number, maximum = 100) {
  return {
    limit: wholeNumberField(1, maximum, `Most entries of the answer; ${limit} if it is missing.`).optional(),
    offset: wholeNumberField(0, maxOffset, 'Entries to leave out; 0 if it is missing.').optional(),
  };
}

/** `limit`, `offset` and `cursor` of a list. */
export function pageFields(limit: number, maximum = 100) {
  return { ...offsetPageFields(limit, maximum), cursor: cursorField.optional() };
}

/** The page that an address asks for. */
export function pageRequest(
  query: {
    readonly limit?: number | undefined;
    readonly offset?: number | undefined;
    readonly cursor?: number | undefined;
  },
  limit: number,
): PageRequest {
  return { limit: query.limit ?? limit, offset: query.offset ?? 0, after: query.cursor };
}
