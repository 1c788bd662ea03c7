import type { IntakeFacts } from '../src/model/intake-facts.ts';

/** Facts of a usual picture. */
export const intakeFacts: IntakeFacts = {
  sharpness: 96,
  exposure: { lightness: 50, clippedShadows: 0, clippedHighlights: 0.01 },
  background: { kind: 'white', color: '#ffffff', whiteShare: 1, plainShare: 1 },
  fill: 0.4,
  product: { left: 0.2, top: 0.2, width: 0.6, height: 0.7 },
  borders: { left: 0, top: 0, right: 0, bottom: 0 },
  upscaled: false,
  compression: { jpegQuality: 85, blockiness: 0.1, heavy: false },
  grey: false,
};
