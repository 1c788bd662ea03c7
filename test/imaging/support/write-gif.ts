/** A frame of a GIF, with palette indices row by row. */
export interface GifFrameInput {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly indices: readonly number[];
  readonly transparentIndex?: number;
}

/** Writes an uncompressed GIF with 8-bit codes. The code table is cleared before it grows. */
export function writeGif(
  screen: { readonly width: number; readonly height: number },
  palette: readonly (readonly number[])[],
  frames: readonly GifFrameInput[],
): Buffer {
  const table = Buffer.alloc(128 * 3);
  table.set(palette.flat());
  return Buffer.concat([
    Buffer.from('GIF89a'),
    uint16(screen.width, screen.height),
    Buffer.of(0xf6, 0, 0),
    table,
    ...frames.map(writeFrame),
    Buffer.of(0x3b),
  ]);
}

function writeFrame({ left, top, width, height, indices, transparentIndex }: GifFrameInput): Buffer {
  const codes: number[] = [];
  for (const [n, index] of indices.entries()) {
    if (n % 100 === 0) codes.push(128);
    codes.push(index);
  }
  codes.push(129);
  const blocks: Buffer[] = [];
  for (let start = 0; start < codes.length; start += 255) {
    const block = Buffer.from(codes.slice(start, start + 255));
    blocks.push(Buffer.of(block.length), block);
  }
  const isTransparent = transparentIndex !== undefined;
  return Buffer.concat([
    Buffer.of(0x21, 0xf9, 4, isTransparent ? 1 : 0, 0, 0, transparentIndex ?? 0, 0),
    Buffer.of(0x2c),
    uint16(left, top, width, height),
    Buffer.of(0, 7),
    ...blocks,
    Buffer.of(0),
  ]);
}

function uint16(...values: readonly number[]): Buffer {
  return Buffer.from(values.flatMap((value) => [value & 255, value >> 8]));
}
