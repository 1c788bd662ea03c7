import { z } from 'zod';
import { AppError } from '../../../errors.ts';
import { defaultTenant, isTenantName } from '../../../model/tenant.ts';
import { replyOriginal, replyRendition } from '../../image-replies.ts';
import { imageReferenceText } from '../../image-reference.ts';
import { principalOf } from '../../principal.ts';
import type { Surface } from '../../surface.ts';
import { assetRecord, tenantRecord, tenantUsageRecord, uploadRecord } from './records.ts';

const asset = z.object({ asset_id: imageReferenceText });
const assetAndPreset = asset.extend({ preset: z.string().max(64) });
const tenantParams = z.object({ tenant_name: z.string().max(256) });

/** The catalog dialect: `/upload`, `/retrieve`, `/metrics`, `/healthz`. */
export const catalogDialect: Surface = (app, { services, receiveUploadForm }) => {
  app.post('/upload', async (request) => {
    const { file, filename, fields } = await receiveUploadForm(request.raw);
    const tenantName = fields.get('tenant_name') ?? defaultTenant;
    return uploadRecord(
      await services.ingestUpload(principalOf(request), { file, filename, tenantName, mode: 'queued' }),
    );
  });

  app.get('/retrieve/asset/:asset_id', { schema: { params: asset } }, async (request) =>
    assetRecord(await services.retrieve.find(principalOf(request), request.params.asset_id)),
  );

  app.get('/retrieve/original/:asset_id', { schema: { params: asset } }, async (request, reply) =>
    replyOriginal(
      request,
      reply,
      await services.retrieve.original(principalOf(request), request.params.asset_id),
    ),
  );

  app.get(
    '/retrieve/rendition/:asset_id/:preset',
    { schema: { params: assetAndPreset } },
    async (request, reply) => {
      const { asset_id: reference, preset } = request.params;
      return replyRendition(
        request,
        reply,
        await services.retrieve.rendition(principalOf(request), reference, preset),
        undefined,
      );
    },
  );

  app.get('/metrics', async (request) => ({
    tenants: (await services.usage.tenants(principalOf(request))).map(tenantRecord),
  }));

  app.get('/metrics/tenant/:tenant_name', { schema: { params: tenantParams } }, async (request) => {
    const name = request.params.tenant_name;
    const usage = isTenantName(name) ? await services.usage.tenant(principalOf(request), name) : undefined;
    if (!usage)
      throw new AppError('tenant_not_found', `There is no tenant ${JSON.stringify(name.slice(0, 80))}.`);
    return tenantUsageRecord(usage);
  });

  app.get('/healthz', async (_request, reply) => {
    const failed = (await services.checkHealth()).filter(({ error }) => error !== undefined);
    if (failed.length === 0) return { status: 'healthy' };
    const checks = Object.fromEntries(failed.map(({ name, error }) => [name, error]));
    return reply.code(503).send({ status: 'unhealthy', ...checks });
  });
};
