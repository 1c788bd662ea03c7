import { z } from 'zod';
import { renditionFormats } from '../../model/preset.ts';
import type { ImageComparison } from '../../services/compare-with-image.ts';
import type { PresetTrials } from '../../services/try-presets.ts';
import { describeComparison, metricsNote, roundTo } from '../responses/comparison-notes.ts';
import { imageParams } from '../fields/fields.ts';
import { responses, json } from '../openapi/responses.ts';
import { fileErrors, pictureForm } from '../openapi/bodies.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';
import { comparisonExample, trialsExample } from './examples.ts';

const trialsSchema = z
  .object({
    results: z.array(
      z.object({
        preset: z.string(),
        size_bytes: z.int(),
        width: z.int(),
        height: z.int(),
        quality_metric: z.number().describe('SSIM between the rendition and the source; at most 1.'),
        formats: z
          .array(
            z.object({
              format: z.enum(renditionFormats),
              size_bytes: z.int(),
              quality_metric: z.number(),
            }),
          )
          .describe('All formats of the preset. The fields above describe the first.'),
      }),
    ),
    recommended: z
      .string()
      .describe(
        'The preset with the smallest file among those with a quality of at least 0.95. If no preset has that quality, the preset with the best quality.',
      ),
  })
  .meta({ examples: [trialsExample] });
const comparisonSchema = z
  .object({
    id: z.int(),
    uuid: z.uuid(),
    comparisons: z.array(
      z.object({
        name: z.string().describe('`original` or the name of a preset.'),
        size_bytes: z.int(),
        width: z.int(),
        height: z.int(),
        psnr_db: z.number(),
        ssim: z.number(),
        perceptual_hash_distance: z.int(),
        note: z.string(),
      }),
    ),
    note: z.string().describe('How to interpret the metrics.'),
  })
  .meta({ examples: [comparisonExample] });

/** Routes that compare uploaded images with originals and renditions. */
export const compareRoutes: RoutePlugin = (app, { services, receiveUploadForm }) => {
  const tags = ['Comparison'];

  app.post(
    '/compare',
    {
      config: { access: 'tryPresets' },
      schema: {
        tags,
        summary: 'Preview the presets for a file',
        description:
          'Creates every rendition of the uploaded file and returns the size and quality of each. Nothing is stored.',
        bodies: pictureForm(),
        response: responses(
          { 200: json(trialsSchema, 'Results by preset.') },
          'invalid_request',
          ...fileErrors,
        ),
      },
    },
    async (request) => {
      const { file } = await receiveUploadForm(request.raw);
      return toTrialsRecord(await services.tryPresets(getPrincipal(request), file));
    },
  );

  app.post(
    '/images/:id/compare',
    {
      config: { access: 'compareWithImage' },
      schema: {
        tags,
        summary: 'Compare an image with a file',
        description: `The uploaded file is not stored. ${metricsNote}`,
        params: imageParams,
        bodies: pictureForm(),
        response: responses(
          { 200: json(comparisonSchema, 'Comparison with the original and with each rendition.') },
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
      return toComparisonRecord(await services.compareWithImage(getPrincipal(request), id, file));
    },
  );
};

function toTrialsRecord({ results, recommended }: PresetTrials): z.input<typeof trialsSchema> {
  return {
    results: results.map(({ preset, bytes, width, height, quality, formats }) => ({
      preset,
      size_bytes: bytes,
      width,
      height,
      quality_metric: roundTo(quality, 4),
      formats: formats.map((trial) => ({
        format: trial.format,
        size_bytes: trial.bytes,
        quality_metric: roundTo(trial.quality, 4),
      })),
    })),
    recommended,
  };
}

function toComparisonRecord({ image, comparisons }: ImageComparison): z.input<typeof comparisonSchema> {
  return {
    id: image.id,
    uuid: image.uuid,
    comparisons: comparisons.map((comparison) => ({
      name: comparison.name,
      size_bytes: comparison.bytes,
      width: comparison.width,
      height: comparison.height,
      psnr_db: roundTo(comparison.psnr, 2),
      ssim: roundTo(comparison.ssim, 4),
      perceptual_hash_distance: comparison.hashDistance,
      note: describeComparison(comparison),
    })),
    note: metricsNote,
  };
}
