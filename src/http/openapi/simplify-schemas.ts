/**
 * A part of the document without what Zod says beside the point: bounds that every whole number of JavaScript has,
 * patterns of formats that have a name, and that an object has no further fields, which a later version may add.
 */
export function simplifySchemas(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(simplifySchemas);
  if (part === null || typeof part !== 'object') return part;
  const entries = Object.entries(part).filter(([key, value]) => !isNoise(key, value, part));
  return Object.fromEntries(entries.map(([key, value]) => [key, simplifyValue(key, value)]));
}

function simplifyValue(key: string, value: unknown): unknown {
  const simple = simplifySchemas(value);
  const isOpen =
    key === 'additionalProperties' && simple instanceof Object && Object.keys(simple).length === 0;
  return isOpen ? true : simple;
}

function isNoise(key: string, value: unknown, schema: object): boolean {
  if (key === 'minimum') return value === Number.MIN_SAFE_INTEGER;
  if (key === 'maximum') return value === Number.MAX_SAFE_INTEGER;
  if (key === 'pattern') return 'format' in schema;
  return key === 'additionalProperties' && value === false;
}
