/**
 * A part of the document without what Zod says beside the point: bounds that every whole number of JavaScript has,
 * patterns of formats that have a name, and that an object has no further fields, which a later version may break.
 */
export function simplifySchemas(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(simplifySchemas);
  if (part === null || typeof part !== 'object') return part;
  const entries = Object.entries(part).filter(([key, value]) => !isNoise(key, value, part));
  return Object.fromEntries(entries.map(([key, value]) => [key, simplifySchemas(value)]));
}

function isNoise(key: string, value: unknown, schema: object): boolean {
  if (key === 'minimum') return value === Number.MIN_SAFE_INTEGER;
  if (key === 'maximum') return value === Number.MAX_SAFE_INTEGER;
  if (key === 'pattern') return 'format' in schema;
  return key === 'additionalProperties' && (value === false || isEmpty(value));
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
