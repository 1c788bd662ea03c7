/** Name of the file at the end of a URL's path, `undefined` when the path ends with a slash. */
export function filenameOf(href: string): string | undefined {
  const decoded = decode(new URL(href).pathname);
  // After decoding, since a slash may be hidden in the escapes.
  return decoded.split(/[/\\]/).at(-1) || undefined;
}

/** Paths may hold percent signs that are no escapes. */
function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
