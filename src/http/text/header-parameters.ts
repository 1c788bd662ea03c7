/** A header with parameters, such as `text/csv; charset=utf-8`. */
export interface ParameterizedHeader {
  /** The part before the first semicolon, in lower case. */
  readonly value: string;
  /** Values by lower-case name. If a parameter is repeated, its first value is used. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Name of a parameter that is repeated with a different value, if any. */
  readonly conflict: string | undefined;
}

/** Matches a parameter: a name, optionally followed by a quoted string or a token. */
const parameterPattern = /;\s*([^\s;="]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;]*)))?/gs;

/**
 * Parses a header with parameters (RFC 9110 §5.6.6). Never throws; invalid parameters are skipped. A backslash escapes
 * only a quotation mark or another backslash, because some clients send unescaped Windows paths.
 */
export function parseHeaderParameters(header: string): ParameterizedHeader {
  const valueEnd = header.indexOf(';');
  const parameters = new Map<string, string>();
  let conflict: string | undefined;
  for (const [, name = '', quoted, token] of header.matchAll(parameterPattern)) {
    const key = name.toLowerCase();
    const value = quoted?.replaceAll(/\\(["\\])/g, '$1') ?? token?.trim() ?? '';
    const firstValue = parameters.get(key);
    if (firstValue === undefined) parameters.set(key, value);
    else if (firstValue !== value) conflict ??= key;
  }
  return {
    value: header
      .slice(0, valueEnd === -1 ? undefined : valueEnd)
      .trim()
      .toLowerCase(),
    parameters,
    conflict,
  };
}
