import { countGifPixels, readGif } from '../containers/gif.ts';
import { corrupt, cut, type Finding, unreadable } from './verdict.ts';

/** A GIF is complete when its last frame is: a missing trailer, or a cut comment, takes nothing from it. */
export function findInGif(bytes: Uint8Array): Finding {
  const gif = readGif(bytes);
  if (gif === undefined) return cut();
  const { first, last, endsInsideBlock } = gif;
  if (first === undefined || last === undefined) {
    return endsInsideBlock || !gif.hasTrailer ? cut('the file ends before its first frame') : unreadable();
  }
  const isComplete = (frame: typeof last) => countGifPixels(bytes, frame) === frame.width * frame.height;
  if (!last.isWhole) return isComplete(last) ? 'complete' : cut();
  return isComplete(first) ? unreadable() : corrupt('its compressed pixels are damaged');
}
