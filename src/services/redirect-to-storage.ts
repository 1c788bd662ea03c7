import type { DirectAccess, ReadAddressOptions } from '../storage/storage.ts';

/** A file that its store gives itself, at an address that works for a while. */
export interface Redirect {
  /** How long the answer with the address may be kept: the address works for as long again. */
  readonly maxAgeSeconds: number;
  /** Makes the address. Whether the file is there is not looked at. */
  address(how: Pick<ReadAddressOptions, 'method' | 'contentType' | 'contentDisposition'>): Promise<string>;
}

/** Where a stored file is given; `undefined` when this process gives it. */
export type RedirectToStorage = (key: string) => Redirect | undefined;

/** @param seconds how long an address works; `undefined`: there are no redirects. */
export function makeRedirectToStorage(
  direct: DirectAccess | undefined,
  seconds: number | undefined,
): RedirectToStorage {
  if (!direct || seconds === undefined) return () => undefined;
  const maxAgeSeconds = Math.floor(seconds / 2);
  const cacheControl = `private, max-age=${maxAgeSeconds}`;
  return (key) => ({
    maxAgeSeconds,
    address: (how) => direct.readAddress(key, { ...how, seconds, cacheControl }),
  });
}
