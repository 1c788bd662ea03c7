import { z } from 'zod';
import { readJsonBody } from '../bodies/json-body.ts';
import { tenantField, wholeNumberField } from '../fields/fields.ts';
import { pageFields, pageSchema, toPageRecord, toPageRequest } from '../fields/pages.ts';
import { jsonBody } from '../openapi/bodies.ts';
import { json, responses } from '../openapi/responses.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';
import {
  renderingSchema,
  renderingStartSchema,
  renderingWithFailuresSchema,
  toEstimateRecord,
  toRenderingRecord,
  toRenderingWithFailuresRecord,
} from './rendering-record.ts';

/** Default page size. */
const pageSize = 50;

const presetField = z.string().min(1).max(32).describe('Name of a preset.');
const startBody = z
  .strictObject({
    preset: presetField.optional(),
    presets: z
      .array(presetField)
      .min(1)
      .max(16)
      .optional()
      .describe('Names of presets, instead of `preset`.'),
    tenant: tenantField
      .optional()
      .describe('Name of the tenant; defaults to the tenant of the API key, then to all tenants.'),
    dry_run: z.boolean().optional().describe('Whether to only estimate; default `false`.'),
  })
  .refine(({ preset, presets }) => (preset === undefined) !== (presets === undefined), {
    error: 'must have either "preset" or "presets"',
  })
  .meta({ oneOf: [{ required: ['preset'] }, { required: ['presets'] }] });
const renderingParams = z.object({ id: wholeNumberField(0, 999_999_999_999_999, 'Id of a re-rendering.') });
const listQuery = z.strictObject(pageFields(pageSize));
const tags = ['Re-renderings'];

/** Routes that start and control re-renderings, which make renditions again after a change of presets. */
export const renderingRoutes: RoutePlugin = (app, dependencies) => {
  const { services } = dependencies;

  app.post(
    '/renderings',
    {
      config: { access: 'campaigns.start', isIdempotent: true },
      schema: {
        tags,
        summary: 'Re-render outdated and missing renditions',
        description:
          'Makes the renditions of all images again whose recipe is outdated, and those that are missing although they are made at intake. The images are processed in the background, after all other jobs. Old renditions are served until the new ones exist.',
        bodies: jsonBody(startBody),
        response: responses(
          {
            200: json(renderingStartSchema, 'A dry run: the estimate.'),
            201: json(renderingStartSchema, 'The re-rendering has started.'),
          },
          'invalid_request',
          'unknown_preset',
          'tenant_not_found',
          'unsupported_body',
          'unavailable',
        ),
      },
    },
    async (request, reply) => {
      const { preset, presets, tenant, dry_run: isDryRun = false } = readJsonBody(request, startBody);
      const { estimate, campaign } = await services.campaigns.start(getPrincipal(request), {
        presets: presets ?? [preset ?? ''],
        tenant,
        isDryRun,
      });
      return reply.code(campaign ? 201 : 200).send({
        estimate: toEstimateRecord(estimate),
        rendering: campaign ? toRenderingRecord(campaign) : null,
      });
    },
  );

  app.get(
    '/renderings',
    {
      config: { access: 'campaigns.list' },
      schema: {
        tags,
        summary: 'List re-renderings, newest first',
        description: 'A key with a tenant sees only the re-renderings of this tenant.',
        querystring: listQuery,
        response: responses({ 200: json(pageSchema(renderingSchema), 'One page.') }, 'invalid_request'),
      },
    },
    async (request) => {
      const page = toPageRequest(request.query, pageSize);
      return toPageRecord(
        await services.campaigns.list(getPrincipal(request), page),
        page,
        toRenderingRecord,
      );
    },
  );

  app.get(
    '/renderings/:id',
    {
      config: { access: 'campaigns.find' },
      schema: {
        tags,
        summary: 'Get the progress of a re-rendering',
        description: 'Includes the first images that failed, with the reasons.',
        params: renderingParams,
        response: responses(
          { 200: json(renderingWithFailuresSchema, 'The re-rendering.') },
          'invalid_request',
          'rendering_not_found',
        ),
      },
    },
    async (request) =>
      toRenderingWithFailuresRecord(await services.campaigns.find(getPrincipal(request), request.params.id)),
  );

  addChangeRoutes(app, dependencies);
};

const changes = {
  pause: {
    summary: 'Pause a re-rendering',
    description: 'Jobs that are running finish. No further image is processed until it is resumed.',
  },
  resume: {
    summary: 'Resume a paused re-rendering',
    description: 'Continues with the images that have not been processed.',
  },
  cancel: {
    summary: 'Cancel a re-rendering',
    description: 'Jobs that are running finish. Renditions that have been made stay.',
  },
} as const;

const addChangeRoutes: RoutePlugin = (app, { services }) => {
  for (const change of ['pause', 'resume', 'cancel'] as const)
    app.post(
      `/renderings/:id/${change}`,
      {
        config: { access: `campaigns.${change}`, isIdempotent: true },
        schema: {
          tags,
          ...changes[change],
          params: renderingParams,
          response: responses(
            { 200: json(renderingWithFailuresSchema, 'The re-rendering.') },
            'invalid_request',
            'rendering_not_found',
            'rendering_finished',
          ),
        },
      },
      async (request) =>
        toRenderingWithFailuresRecord(
          await services.campaigns[change](getPrincipal(request), request.params.id),
        ),
    );
};
