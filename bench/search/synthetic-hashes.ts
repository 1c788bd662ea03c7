const bytesPerHash = 32;

/** Returns a function that draws numbers from 0 to 1, the same in every run. Source: Steele, Lea, "SplitMix", 2014. */
export function makeDraw(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/**
 * Returns a function that makes hashes that are distributed like `realHashes`: each is a cross of two of them, so that
 * every bit is as often set, with 3% of the bits flipped. Every tenth is a hash made before with up to 12 bits flipped, like a
 * near-duplicate.
 */
export function makeHashes(realHashes: readonly string[], draw: () => number): () => string {
  const real = realHashes.map((hash) => Buffer.from(hash, 'hex'));
  const recent: Buffer[] = [];
  const pick = <T>(list: readonly T[]): T => list[Math.floor(draw() * list.length)]!;
  const cross = (): Buffer => {
    const [one, other, share] = [pick(real), pick(real), 0.15 + 0.35 * draw()];
    const hash = Buffer.alloc(bytesPerHash);
    for (let bit = 0; bit < 8 * bytesPerHash; bit++) {
      const source = draw() < share ? other : one;
      const isSet = ((source[bit >> 3]! >> (7 - (bit & 7))) & 1) === 1;
      if (isSet !== draw() < 0.03) hash[bit >> 3]! |= 0x80 >> (bit & 7);
    }
    return hash;
  };
  return () => {
    const isCopy = recent.length > 100 && draw() < 0.1;
    const hash = isCopy ? flipBits(pick(recent), Math.floor(13 * draw()), draw) : cross();
    if (recent.length < 10_000) recent.push(hash);
    else recent[Math.floor(draw() * recent.length)] = hash;
    return hash.toString('hex');
  };
}

/** Returns the hash with `count` bits flipped at random; fewer if a bit is drawn twice. */
export function flipBits(hash: Buffer, count: number, draw: () => number): Buffer {
  const flipped = Buffer.from(hash);
  for (let n = 0; n < count; n++) {
    const bit = Math.floor(draw() * 8 * bytesPerHash);
    flipped[bit >> 3]! ^= 0x80 >> (bit & 7);
  }
  return flipped;
}
