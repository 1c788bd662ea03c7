import { checkGifPixels, readGif } from '../containers/gif.ts';
import { corrupt, cut, type Finding, unreadable } from './verdict.ts';

/** A GIF is complete if its last frame is: a missing trailer or a truncated comment does not matter. */
export function findInGif(bytes: Uint8Array): Finding {
  const gif = readGif(bytes);
  if (gif === undefined) return cut();
  const { first, last, endsInsideBlock } = gif;
  if (first === undefined || last === undefined) {
    return endsInsideBlock || !gif.hasTrailer ? cut('the file ends before its first frame') : unreadable();
  }
  const pixels = checkGifPixels(bytes, last.isWhole ? first : last);
  if (pixels === 'corrupt' || (pixels === 'short' && last.isWhole)) {
    return corrupt('its compressed pixels are damaged');
  }
  if (pixels === 'short') return cut();
  return last.isWhole ? unreadable() : 'complete';
}
