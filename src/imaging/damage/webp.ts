import { readWebp } from '../containers/webp.ts';
import { corrupt, cut, type Finding, unreadable } from './verdict.ts';

/** WebP has no checksums: a complete file that cannot be decoded is corrupt. */
export function findInWebp(bytes: Uint8Array): Finding {
  const webp = readWebp(bytes);
  if (webp === undefined || webp.size === undefined) return bytes.length < 30 ? cut() : unreadable();
  return webp.hasAllPixels ? corrupt('its compressed pixels are damaged') : cut();
}
