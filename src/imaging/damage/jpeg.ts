import type { JpegFrame } from '../containers/jpeg.ts';
import { readJpegContent } from '../containers/jpeg-scans.ts';
import { corrupt, cut, type Finding, unreadable, unsupported } from './verdict.ts';

/** A JPEG with all of its pixels is complete, with or without an end marker, regardless of other data. */
export function findInJpeg(bytes: Uint8Array): Finding {
  const content = readJpegContent(bytes);
  if (content.kind === 'complete') return 'complete';
  if (content.kind === 'cut') return cut();
  if (content.kind === 'corrupt') return corrupt(`its data ${content.what}`);
  return kindOf(content.frame);
}

function kindOf({ process, precision, height }: JpegFrame): Finding {
  if (process === 3) return unsupported('lossless JPEG is not supported');
  if (process >= 5 && process <= 7) return unsupported('hierarchical JPEG is not supported');
  if (process > 7) return unsupported('arithmetic coding is not supported');
  if (precision !== 8) return unsupported(`${precision} bits for each colour are not supported in JPEG`);
  return height === 0 ? unsupported('it does not state its height') : unreadable();
}
