import type { IntakeFacts } from '../../model/intake-facts.ts';
import type { PictureFacts, PictureLimits } from '../../model/picture.ts';
import type { FocalPoint, Variant } from '../../model/preset.ts';
import { type Pixels, resizeTo } from '../decoding/pixels.ts';
import { measureFacts } from '../facts/measure-facts.ts';
import {
  hashMetadata,
  type KeptMetadata,
  readKeptMetadata,
  selectMetadata,
} from '../metadata/kept-metadata.ts';
import { probe } from '../probe.ts';
import {
  decodeDetail,
  describePixels,
  type Description,
  descriptionSize,
  resizeForDescription,
} from '../recognition/describe-picture.ts';
import type { EmbedPixels } from '../recognition/embedding/embedding.ts';
import { renderAnimation } from './animation.ts';
import { assembleShapes, type SourcePicture } from './assemble-shapes.ts';
import { encode } from './encode.ts';
import { groupByShape } from './rendition-plan.ts';

/** An encoded rendition in memory. */
export interface EncodedRendition extends Variant {
  readonly width: number;
  readonly height: number;
  readonly data: Buffer;
}

/** The renditions of a picture. */
export interface RenderedPicture {
  readonly facts: PictureFacts;
  /** In the order of the requested variants. */
  readonly renditions: readonly EncodedRendition[];
}

/** Everything that is derived from a picture. */
export interface DerivationResult extends RenderedPicture, Description {
  /** SHA-256 of the metadata that renditions may keep, hexadecimal; an empty string if there is none. */
  readonly keptMetadata: string;
  readonly intakeFacts: IntakeFacts;
}

/**
 * Derives renditions and the description of a picture. Decodes the picture once, at the size of the largest rendition, and
 * derives everything else from those pixels. Computes the description while the renditions are being encoded. Decodes a second
 * time only if all renditions are too small for a description, or need an alpha channel or a trimmed part.
 * @param focalPoint the point of the picture that presets with `cover` keep in view, if the image has one
 * @param embed computes the embedding; default: the built-in one
 * @throws AppError as `probe` does, or with a code of the `picture_damaged` family if the pixels cannot be decoded.
 */
export async function deriveRenditions(
  bytes: Uint8Array,
  limits: PictureLimits,
  variants: readonly Variant[],
  focalPoint: FocalPoint | null = null,
  embed?: EmbedPixels,
): Promise<DerivationResult> {
  const facts = await probe(bytes, limits);
  const metadata = await readKeptMetadata(bytes, facts.format);
  const { layers, encodedRenditions } = await makeRenditions(
    { bytes, facts },
    variants,
    focalPoint,
    metadata,
  );
  const [renditions, description] = await Promise.all([
    encodedRenditions,
    describeAndMeasure(bytes, facts, layers, embed),
  ]);
  return { facts, renditions, keptMetadata: hashMetadata(metadata), ...description };
}

/** Describes a picture and measures its facts, from `layers` if one of them is large enough. */
async function describeAndMeasure(
  bytes: Uint8Array,
  facts: PictureFacts,
  layers: readonly Pixels[],
  embed?: EmbedPixels,
): Promise<Description & Pick<DerivationResult, 'intakeFacts'>> {
  const resizedPixels = await resizeForDescription(layers, facts);
  if (resizedPixels && layers[0])
    return describeLayer({ bytes, facts, detail: layers[0], overview: resizedPixels }, embed);
  const detail = await decodeDetail(bytes, facts);
  const overview = await resizeTo(detail, descriptionSize(facts));
  return describeLayer({ bytes, facts, detail, overview }, embed);
}

interface Layer {
  readonly bytes: Uint8Array;
  readonly facts: PictureFacts;
  readonly detail: Pixels;
  readonly overview: Pixels;
}

async function describeLayer({ bytes, facts, detail, overview }: Layer, embed: EmbedPixels | undefined) {
  const intakeFacts = measureFacts({ bytes, header: facts, overview, detail });
  return { ...(await describePixels(overview, facts, embed)), intakeFacts };
}

/**
 * Makes renditions of a picture from one decode, without describing it.
 * @throws AppError as `deriveRenditions` does.
 */
export async function renderVariants(
  bytes: Uint8Array,
  limits: PictureLimits,
  variants: readonly Variant[],
  focalPoint: FocalPoint | null,
): Promise<RenderedPicture> {
  const facts = await probe(bytes, limits);
  const keepsMetadata = variants.some(({ preset }) => preset.keepMetadata.length > 0);
  const metadata = keepsMetadata ? await readKeptMetadata(bytes, facts.format) : { creators: [] };
  // A client may be waiting. The pixels are not used for a fingerprint, for which they would have to be exact.
  const picture: SourcePicture = { bytes, facts, decodeEffort: 'fast' };
  const { encodedRenditions } = await makeRenditions(picture, variants, focalPoint, metadata);
  return { facts, renditions: await encodedRenditions };
}

/** Opaque copies of a picture, and a promise of its encoded renditions. */
export interface PendingRenditions {
  /** Largest first. */
  readonly layers: readonly Pixels[];
  readonly encodedRenditions: Promise<readonly EncodedRendition[]>;
}

/** Makes renditions. Encodes each rendition while the pixels of the next one are being assembled. */
async function makeRenditions(
  picture: SourcePicture,
  variants: readonly Variant[],
  focalPoint: FocalPoint | null,
  metadata: KeptMetadata,
): Promise<PendingRenditions> {
  const encodings = new Map<Variant, Promise<EncodedRendition>>();
  for (const variant of variants) {
    const kept = selectMetadata(metadata, variant.preset.keepMetadata);
    const animation = await renderAnimation(picture, variant, focalPoint, kept);
    if (animation !== undefined) encodings.set(variant, Promise.resolve({ ...variant, ...animation }));
  }
  const stillVariants = variants.filter((variant) => !encodings.has(variant));
  const layers = await assembleShapes(picture, groupByShape(stillVariants), focalPoint, (shape, raster) => {
    const { width, height } = raster;
    const kept = selectMetadata(metadata, shape.preset.keepMetadata);
    for (const variant of shape.variants) {
      const { format, preset } = variant;
      const encoding = encode(raster, format, preset.quality[format], kept);
      encodings.set(
        variant,
        encoding.then((data) => ({ ...variant, width, height, data })),
      );
    }
  });
  const inOrder = variants.flatMap((variant) => encodings.get(variant) ?? []);
  return { layers, encodedRenditions: Promise.all(inOrder) };
}
