import { z } from 'zod';
import type { ImageComparison } from '../../services/compare-with-image.ts';
import type { PresetTrials } from '../../services/try-presets.ts';
import { comparisonNote, readingNote, rounded } from '../responses/comparison-notes.ts';
import { imageRef } from '../image-ref.ts';
import { answers, json } from '../openapi/responses.ts';
import { fileErrors, pictureForm } from '../openapi/bodies.ts';
import { principalOf } from '../principal.ts';
import type { Surface } from '../surface.ts';
import { comparisonExample, trialsExample } from './examples.ts';

const trialsSchema = z
  .object({
    results: z.array(
      z.object({
        preset: z.string(),
        size_bytes: z.int(),
        width: z.int(),
        height: z.int(),
        quality_metric: z.number().describe('SSIM with the source, at most 1.'),
      }),
    ),
    recommended: z
      .string()
      .describe('The smallest preset with a quality of 0.95 or more, else the best one.'),
  })
  .meta({ examples: [trialsExample] });
const comparisonSchema = z
  .object({
    id: z.int(),
    uuid: z.uuid(),
    comparisons: z.array(
      z.object({
        name: z.string().describe('`original`, or the name of a preset.'),
        size_bytes: z.int(),
        width: z.int(),
        height: z.int(),
        psnr_db: z.number(),
        ssim: z.number(),
        perceptual_hash_distance: z.int(),
        note: z.string(),
      }),
    ),
    note: z.string().describe('How to read the figures.'),
  })
  .meta({ examples: [comparisonExample] });

/** Quality figures. */
export const compareRoutes: Surface = (app, { services, receiveUploadForm }) => {
  const tags = ['Comparison'];

  app.post(
    '/compare',
    {
      schema: {
        tags,
        summary: 'What each preset would make of a picture that is not kept',
        description: 'Makes every rendition, and tells its size and how near it comes to the picture.',
        takes: pictureForm(),
        response: answers({ 200: json(trialsSchema, 'Each preset.') }, 'invalid_request', ...fileErrors),
      },
    },
    async (request) => {
      const { file } = await receiveUploadForm(request.raw);
      return trialsRecord(await services.tryPresets(file));
    },
  );

  app.post(
    '/images/:id/compare',
    {
      schema: {
        tags,
        summary: 'How an image differs from a picture that is not kept',
        description: readingNote,
        params: imageRef,
        takes: pictureForm(),
        response: answers(
          { 200: json(comparisonSchema, 'The original, and each rendition that is there.') },
          'invalid_request',
          'image_not_found',
          'rendition_not_ready',
          ...fileErrors,
        ),
      },
    },
    async (request) => {
      const { file } = await receiveUploadForm(request.raw);
      const { id } = request.params;
      return comparisonRecord(await services.compareWithImage(principalOf(request), id, file));
    },
  );
};

function trialsRecord({ results, recommended }: PresetTrials): z.input<typeof trialsSchema> {
  return {
    results: results.map(({ preset, bytes, width, height, quality }) => ({
      preset,
      size_bytes: bytes,
      width,
      height,
      quality_metric: rounded(quality, 4),
    })),
    recommended,
  };
}

function comparisonRecord({ image, comparisons }: ImageComparison): z.input<typeof comparisonSchema> {
  return {
    id: image.id,
    uuid: image.uuid,
    comparisons: comparisons.map((comparison) => ({
      name: comparison.name,
      size_bytes: comparison.bytes,
      width: comparison.width,
      height: comparison.height,
      psnr_db: rounded(comparison.psnr, 2),
      ssim: rounded(comparison.ssim, 4),
      perceptual_hash_distance: comparison.hashDistance,
      note: comparisonNote(comparison),
    })),
    note: readingNote,
  };
}
