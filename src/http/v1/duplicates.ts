import { z } from 'zod';
import { duplicateVerdicts } from '../../model/duplicates.ts';
import { relationTiers } from '../../model/relation.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import {
  bodyImageRefField,
  imageParams,
  imageRefField,
  tenantField,
  wholeNumberField,
} from '../fields/fields.ts';
import { cursorPageFields, writeCursor } from '../fields/pages.ts';
import { jsonBody } from '../openapi/bodies.ts';
import { empty, json, responses } from '../openapi/responses.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';
import {
  groupPageSchema,
  resolutionSchema,
  toGroupRecord,
  toResolutionRecord,
  toVerdictRecord,
  verdictSchema,
} from './duplicate-record.ts';

/** Default page size. */
const pageSize = 20;

/** Maximum number of images that one request discards. */
const maxDiscarded = 100;

const pairParams = imageParams.extend({ other: imageRefField });
const verdictBody = z.strictObject({ verdict: z.enum(duplicateVerdicts) });
const listQuery = z.strictObject({
  tenant: tenantField.optional(),
  tier: z
    .enum(relationTiers)
    .optional()
    .describe(
      'The weakest tier of the images of a group; default: `identical`, `reencoded` and `edited`. Groups of `possible` duplicates and of `variant`s are separate.',
    ),
  ...cursorPageFields(pageSize),
});
const groupParams = z.object({ group: wholeNumberField(0, 999_999_999_999_999, 'Id of a group.') });
const resolveBody = z.strictObject({
  keep: bodyImageRefField.describe('Id or UUID of the image to keep.'),
  discard: z
    .array(bodyImageRefField)
    .min(1)
    .max(maxDiscarded)
    .describe('Ids or UUIDs of the images to delete.'),
});
const tags = ['Duplicates'];

/** Routes that record what people decide about pairs, and that list and resolve groups of duplicates. */
export const duplicateRoutes: RoutePlugin = (app, dependencies) => {
  addVerdictRoutes(app, dependencies);
  const { duplicateGroups } = dependencies.services;

  app.get(
    '/duplicates',
    {
      config: { access: 'duplicateGroups.list' },
      schema: {
        tags,
        summary: 'List groups of duplicates, newest first',
        description:
          'A group consists of a representative and the images that match it. Each image is in at most one group of duplicates. At most 20 images of a group are listed.',
        querystring: listQuery,
        response: responses({ 200: json(groupPageSchema, 'One page.') }, 'invalid_request'),
      },
    },
    async (request) => {
      const { tenant, tier, limit = pageSize, cursor } = request.query;
      const page = { limit, after: cursor };
      const { groups, next } = await duplicateGroups.list(getPrincipal(request), { tenant, tier }, page);
      return { items: groups.map(toGroupRecord), limit, next_cursor: writeCursor(next) };
    },
  );

  app.post(
    '/duplicates/:group/resolve',
    {
      config: { access: 'duplicateGroups.resolve', isIdempotent: true },
      schema: {
        tags,
        summary: 'Resolve a group of duplicates',
        description:
          'Gives the references of the discarded images to the kept image, and deletes the discarded images. They can be restored, and then have their references again. Either all of this happens or nothing. A repeated request changes nothing.',
        params: groupParams,
        bodies: jsonBody(resolveBody),
        response: responses(
          { 200: json(resolutionSchema, 'The group is resolved.') },
          'invalid_request',
          'group_not_found',
          'group_of_variants',
          'not_in_group',
          'keeper_not_intact',
        ),
      },
    },
    async (request) => {
      const { group } = request.params;
      const resolution = readJsonBody(request, resolveBody);
      return toResolutionRecord(
        group,
        await duplicateGroups.resolve(getPrincipal(request), group, resolution),
      );
    },
  );
};

const addVerdictRoutes: RoutePlugin = (app, { services: { judgePairs } }) => {
  const errors = ['invalid_request', 'image_not_found', 'rendition_not_ready'] as const;

  app.put(
    '/images/:id/duplicates/:other',
    {
      config: { access: 'judgePairs.set' },
      schema: {
        tags,
        summary: 'Decide whether two images are duplicates',
        description:
          '`same`: the pair is listed as a duplicate, even if it was not found. `different`: it is not listed anywhere. `variant`: it is listed as a variant. The decision applies to both contents, also if one of the files is uploaded again, and replaces an earlier one.',
        params: pairParams,
        bodies: jsonBody(verdictBody),
        response: responses({ 200: json(verdictSchema, 'The decision.') }, ...errors),
      },
    },
    async (request) => {
      const { id, other } = request.params;
      const { verdict } = readJsonBody(request, verdictBody);
      return toVerdictRecord(await judgePairs.set(getPrincipal(request), id, other, verdict));
    },
  );

  app.delete(
    '/images/:id/duplicates/:other',
    {
      config: { access: 'judgePairs.remove' },
      schema: {
        tags,
        summary: 'Take back the decision about two images',
        description: 'What the search found counts again. Succeeds even if there is no decision.',
        params: pairParams,
        response: responses({ 204: empty('There is no decision.') }, ...errors),
      },
    },
    async (request, reply) => {
      const { id, other } = request.params;
      await judgePairs.remove(getPrincipal(request), id, other);
      return reply.code(204).send();
    },
  );
};
