/** What every cursor looks like. */
export const cursorForm = /^[A-Za-z0-9_-]{1,20}$/;

/** Spells the place where the next page begins. Opaque to clients, so that what is inside may change. */
export function writeCursor(next: number | undefined): string | null {
  return next === undefined ? null : Buffer.from(String(next)).toString('base64url');
}

/** The place that a cursor spells; `undefined` when it was not written here. */
export function readCursor(text: string): number | undefined {
  if (!cursorForm.test(text)) return undefined;
  const digits = Buffer.from(text, 'base64url').toString('latin1');
  const next = Number(digits);
  // Spelled again, because a cursor has one spelling only.
  return /^\d{1,15}$/.test(digits) && writeCursor(next) === text ? next : undefined;
}
