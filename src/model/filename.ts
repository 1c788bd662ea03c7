const longest = 255;

/** A name without what databases, headers and terminals choke on: control characters, and more than 255 characters. */
export function cleanFilename(name: string): string {
  const printable = name.replaceAll(/\p{Cc}/gu, '').trim();
  // Cut between two halves of a character, the first half would be no proper text.
  return printable.slice(0, longest).toWellFormed() || 'unnamed';
}
