/**
 * A part of the document without what Zod says beside the point: bounds that every whole number of JavaScript has,
 * patterns of formats that have a name, and that an answer has no further fields, which a later version may add. A body
 * that is sent stays as closed as it is read.
 */
export function simplifySchemas(part: unknown, isSent = false): unknown {
  if (Array.isArray(part)) return part.map((one) => simplifySchemas(one, isSent));
  if (part === null || typeof part !== 'object') return part;
  const entries = Object.entries(part).filter(([key, value]) => !isNoise(key, value, part, isSent));
  return Object.fromEntries(
    entries.map(([key, value]) => [key, simplifyValue(key, value, isSent || key === 'requestBody')]),
  );
}

function simplifyValue(key: string, value: unknown, isSent: boolean): unknown {
  const simple = simplifySchemas(value, isSent);
  const isOpen =
    key === 'additionalProperties' && simple instanceof Object && Object.keys(simple).length === 0;
  return isOpen ? true : simple;
}

function isNoise(key: string, value: unknown, schema: object, isSent: boolean): boolean {
  if (key === 'minimum') return value === Number.MIN_SAFE_INTEGER;
  if (key === 'maximum') return value === Number.MAX_SAFE_INTEGER;
  if (key === 'pattern') return 'format' in schema;
  return !isSent && key === 'additionalProperties' && value === false;
}
