import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { type IntakeRuleName, intakeRuleNames, intakeRules, ruleActions } from '../../model/intake-rules.ts';
import {
  maxLimit,
  readOwnSettings,
  type TenantSettingName,
  tenantSettingNames,
  tenantSettings,
} from '../../model/tenant-settings.ts';
import type { TenantSettingsReport } from '../../services/tenant-settings.ts';
import { readJsonBody } from '../bodies/json-body.ts';
import { jsonBody } from '../openapi/bodies.ts';
import { json, responses } from '../openapi/responses.ts';
import { getPrincipal } from '../principal.ts';
import type { RoutePlugin } from '../route-plugin.ts';
import { tenantSettingsExample } from './examples.ts';

/** Returns the schema of a setting, from the table of settings. */
function toField(name: TenantSettingName): z.ZodType {
  const { accepts, about } = tenantSettings[name];
  if (accepts === 'rules') return rulesSchema.describe(about);
  const field = accepts === 'limit' ? z.int().min(0).max(maxLimit).nullable() : z.enum(accepts);
  return field.describe(about);
}

/** Returns the schema of an intake rule, from the table of rules. */
function toRuleField(name: IntakeRuleName): z.ZodType {
  const { about, maxLimit: max } = intakeRules[name];
  const action = z.enum(ruleActions);
  const rule =
    max === null ? z.strictObject({ action }) : z.strictObject({ action, limit: z.number().min(0).max(max) });
  return rule.describe(about);
}

const rulesSchema = z
  .strictObject(Object.fromEntries(intakeRuleNames.map((name) => [name, toRuleField(name)])))
  .partial()
  .meta({ id: 'IntakeRules' });

const fields = Object.fromEntries(tenantSettingNames.map((name) => [name, toField(name)]));
const ownSchema = z
  .strictObject(fields)
  .partial()
  .describe("Settings of the tenant's own. The installation's defaults apply to the others.")
  .meta({ id: 'TenantSettings' });
const allSchema = z.object(fields);
const reportSchema = z
  .object({
    tenant: z.string(),
    tenant_id: z.int(),
    own: ownSchema,
    defaults: allSchema.describe("The installation's defaults."),
    effective: allSchema.describe(
      "What applies: the tenant's own settings and, for the others, the defaults.",
    ),
  })
  .meta({ id: 'TenantSettingsReport', examples: [tenantSettingsExample] });
const tenantParams = z.object({ tenant: z.string().describe('Name of a tenant.') });

/** Routes that read and change the settings of a tenant. */
export const tenantSettingsRoutes: RoutePlugin = (app, { services }) => {
  const tags = ['Access'];

  app.get(
    '/tenants/:tenant/settings',
    {
      config: { access: 'tenantSettings.read' },
      schema: {
        tags,
        summary: 'Get the settings of a tenant',
        description: 'A key with a tenant sees only the settings of this tenant.',
        params: tenantParams,
        response: responses(
          { 200: json(reportSchema, 'The settings.') },
          'invalid_request',
          'tenant_not_found',
        ),
      },
    },
    async (request) =>
      toRecord(await services.tenantSettings.read(getPrincipal(request), request.params.tenant)),
  );

  app.put(
    '/tenants/:tenant/settings',
    {
      config: { access: 'tenantSettings.replace' },
      schema: {
        tags,
        summary: 'Replace the settings of a tenant',
        description:
          "The installation's defaults apply to settings that are left out. Only a key without a tenant may change quotas; with other keys, they keep their values if they are left out. Every process follows within 5 seconds.",
        params: tenantParams,
        bodies: jsonBody(ownSchema),
        response: responses(
          { 200: json(reportSchema, 'The new settings.') },
          'invalid_request',
          'settings_not_allowed',
          'tenant_not_found',
          'unsupported_body',
        ),
      },
    },
    async (request) => {
      // Otherwise, a request whose body was lost would reset all settings.
      if (request.body === undefined)
        throw new AppError(
          'invalid_request',
          'The body is missing: send the settings as a JSON object. {} resets all of them to the defaults.',
        );
      const own = readOwnSettings(readJsonBody(request, ownSchema));
      return toRecord(
        await services.tenantSettings.replace(getPrincipal(request), request.params.tenant, own),
      );
    },
  );
};

function toRecord({ tenant, own, defaults, effective }: TenantSettingsReport): z.input<typeof reportSchema> {
  return { tenant: tenant.name, tenant_id: tenant.id, own, defaults, effective };
}
