import { LRUCache } from 'lru-cache';
import type { JobQueries } from '../../db/jobs/job-queries.ts';
import { priorities } from '../../model/job.ts';
import type { RenditionFormat } from '../../model/preset.ts';
import type { Principal } from '../../model/principal.ts';
import type { ImageQueries } from '../../db/images/images.ts';
import type { WorkQueue } from '../../queue/queue.ts';
import { imageNotFound } from '../image-errors.ts';
import type { PresetsInForce } from '../presets-in-force.ts';
import { type CachedRendition, cacheKey, type RenditionCache } from '../rendition-cache.ts';
import type { RetrievedRendition } from '../retrieve-image.ts';
import type { FoundRendition, LoadRendition } from './load-rendition.ts';
import type { OpenRendition } from './open-rendition.ts';
import type { ServedRenditions } from './served-renditions.ts';
import { findOffered, isRecorded, toCurrentVariant, unknownVariant } from './variants.ts';

/** Identifies a file that a preset yields for an image. */
export interface VariantRef {
  readonly uuid: string;
  readonly preset: string;
  readonly density: number;
  readonly format: RenditionFormat;
  /** Set in immutable URLs. */
  readonly recipe?: string;
}

/** A rendition in the format that was chosen for the caller. */
export interface Negotiated {
  readonly format: RenditionFormat;
  /** Whether this is the client's preferred format. Otherwise, a better one will be available later. */
  readonly isFinal: boolean;
}

/** Delivers renditions of all formats and densities, and makes those that do not exist yet. */
export interface DeliverRendition {
  /** Returns the variant if it is in memory. This method is synchronous for speed. */
  cached(principal: Principal, ref: VariantRef): CachedRendition | undefined;
  /** Returns the result of `negotiate` for the same formats if it is in memory. This method is synchronous for speed. */
  cachedNegotiated(
    principal: Principal,
    ref: Omit<VariantRef, 'format' | 'recipe'>,
    formats: readonly RenditionFormat[],
  ): (CachedRendition & Negotiated) | undefined;
  /**
   * Loads the variant. Makes it if it does not exist.
   * @throws {AppError} `image_not_found`, `unknown_variant`, `rendition_not_ready`, `overloaded`, `unavailable`; why the
   *   picture cannot be decoded.
   */
  load(
    principal: Principal,
    ref: VariantRef,
    signal: AbortSignal,
  ): Promise<RetrievedRendition & { readonly isCurrent: boolean }>;
  /**
   * Returns the first of `formats` that exists or is fast to make. An AVIF that does not exist yet is left to a job, unless it is
   * the only format.
   * @param formats in order of preference
   * @throws {AppError} as `load` does
   */
  negotiate(
    principal: Principal,
    ref: Omit<VariantRef, 'format' | 'recipe'>,
    formats: readonly RenditionFormat[],
    signal: AbortSignal,
  ): Promise<RetrievedRendition & Negotiated>;
}

interface Dependencies {
  readonly images: Pick<ImageQueries, 'find'>;
  readonly presets: Pick<PresetsInForce, 'list' | 'find'>;
  readonly jobs: Pick<JobQueries, 'enqueueRender'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly loadRendition: LoadRendition;
  readonly openRendition: OpenRendition;
  readonly served: Pick<ServedRenditions, 'add'>;
  readonly cache: RenditionCache;
}

/** Formats that take so long to encode that callers get another format in the meantime. */
const slowFormats: ReadonlySet<RenditionFormat> = new Set<RenditionFormat>(['avif']);

/** How long a chosen format, and an added job, are remembered. */
const choiceMs = 1_000;
const jobMs = 60_000;
const maxRemembered = 10_000;

/** @see DeliverRendition */
export function makeDeliver(deps: Dependencies): DeliverRendition {
  const { cache, images, presets, loadRendition, openRendition, served } = deps;
  const choices = new LRUCache<string, Negotiated>({ max: maxRemembered, ttl: choiceMs });
  const addJob = makeAddJob(deps);

  function cached(principal: Principal, ref: VariantRef): CachedRendition | undefined {
    const { uuid, recipe } = ref;
    let rendition = cache.get(cacheKey(uuid, ref));
    if (recipe !== undefined && rendition?.recipe !== recipe)
      rendition = cache.get(cacheKey(uuid, ref, recipe));
    const canSee = principal.tenantId === null || principal.tenantId === rendition?.tenantId;
    return canSee ? rendition : undefined;
  }

  async function open(
    ref: VariantRef,
    { image, rendition, isCurrent, repair }: FoundRendition,
    cacheRendition: ReturnType<RenditionCache['beginLoad']>,
  ): Promise<RetrievedRendition> {
    const opened = await openRendition(image, rendition, repair);
    served.add(rendition);
    if ('body' in opened) {
      if (isCurrent) cacheRendition(cacheKey(ref.uuid, ref), opened);
      else if (ref.recipe !== undefined) cacheRendition(cacheKey(ref.uuid, ref, ref.recipe), opened);
    }
    return opened;
  }

  async function load(principal: Principal, ref: VariantRef, signal: AbortSignal) {
    const cacheRendition = cache.beginLoad();
    const { uuid, recipe, preset, format, density } = ref;
    const request = {
      name: { preset, format, density },
      recipe,
      choose: (candidate: Parameters<typeof findOffered>[0]) => findOffered(candidate, ref),
    };
    const found = await loadRendition(principal, { uuid }, request, signal);
    return { ...(await open(ref, found, cacheRendition)), isCurrent: found.isCurrent };
  }

  /** Returns the formats that the preset offers, and those whose rendition exists. */
  async function findChoices(
    principal: Principal,
    { uuid, preset: presetName, density }: Omit<VariantRef, 'format' | 'recipe'>,
    formats: readonly RenditionFormat[],
  ) {
    const image = await images.find(principal, { uuid });
    if (!image) throw imageNotFound({ uuid });
    const preset = presets.find(presetName);
    const offered = formats.flatMap((format) => findOffered(preset, { format, density }) ?? []);
    if (offered.length === 0)
      throw unknownVariant(presets.list(), { preset: presetName, format: formats[0] ?? 'jpeg', density });
    const ready = offered.filter((variant) => isRecorded(image, toCurrentVariant(variant, image)));
    return { image, offered, ready };
  }

  return {
    cached,
    load,
    cachedNegotiated(principal, ref, formats) {
      const choice = choices.get(choiceKey(ref, formats));
      const rendition = choice && cached(principal, { ...ref, format: choice.format });
      return rendition && { ...rendition, ...choice };
    },
    async negotiate(principal, ref, formats, signal) {
      const { image, offered, ready } = await findChoices(principal, ref, formats);
      const chosen = offered.find((variant) => ready.includes(variant) || !slowFormats.has(variant.format));
      const [best] = offered;
      const format = (chosen ?? best)?.format ?? 'jpeg';
      const isFinal = format === best?.format;
      const retrieved = await load(principal, { ...ref, format }, signal);
      if (!isFinal && best && image.status === 'completed')
        await addJob(image.id, { ...ref, format: best.format });
      choices.set(choiceKey(ref, formats), { format, isFinal });
      return { ...retrieved, format, isFinal };
    },
  };
}

function choiceKey(
  { uuid, preset, density }: Omit<VariantRef, 'format' | 'recipe'>,
  formats: readonly RenditionFormat[],
): string {
  return `${uuid}/${preset}.${density}.${formats.join()}`;
}

/** Returns a function that adds a job for a variant, unless it did so recently. */
function makeAddJob({ jobs, queue }: Pick<Dependencies, 'jobs' | 'queue'>) {
  const recentJobs = new LRUCache<string, true>({ max: maxRemembered, ttl: jobMs });
  return async (imageId: number, { preset, format, density }: VariantRef): Promise<void> => {
    const key = `${imageId}/${preset}.${density}.${format}`;
    if (recentJobs.has(key)) return;
    recentJobs.set(key, true);
    const variants = [{ preset, format, density }];
    const job = await jobs.enqueueRender({ imageId, variants, priority: priorities.low });
    if (job) queue.wake([job]);
  };
}
