import type { CampaignChange, CampaignQueries } from '../../db/campaigns/campaigns.ts';
import type { DescriptionVersion } from '../../db/campaigns/reindexings.ts';
import type { TenantQueries } from '../../db/tenants.ts';
import { AppError } from '../../errors.ts';
import type { Campaign, CampaignEstimate, CampaignFailure } from '../../model/campaign.ts';
import type { Page, PageRequest } from '../../model/page.ts';
import type { Preset } from '../../model/preset.ts';
import type { Principal } from '../../model/principal.ts';
import { runUnbound } from '../../tenant-scope.ts';
import type { PresetsInForce } from '../presets-in-force.ts';
import { findTenant } from '../tenants.ts';
import { estimateCampaign } from './estimate-campaign.ts';
import type { FillCampaigns } from './fill-campaigns.ts';

/** Which renditions to re-render. */
export interface CampaignRequest {
  /** Names of presets. */
  readonly presets: readonly string[];
  /** Default: the caller's tenant, or all tenants if it has none. */
  readonly tenant?: string | undefined;
  /** Whether to estimate only. */
  readonly isDryRun: boolean;
}

/** Which images to describe again. */
export type ReindexingRequest = Omit<CampaignRequest, 'presets'>;

/** A new reindexing; without a campaign after a dry run. */
export interface ReindexingStart {
  /** Number of images that were described by another version. */
  readonly images: number;
  readonly campaign: Campaign | undefined;
}

/** A new campaign; without a campaign after a dry run. */
export interface CampaignStart {
  readonly estimate: CampaignEstimate;
  readonly campaign: Campaign | undefined;
}

/** A campaign with the first images that failed. */
export interface CampaignReport extends Campaign {
  readonly failures: readonly CampaignFailure[];
}

/** Starts and controls campaigns, which re-render images after presets have changed, or describe them again. */
export interface Campaigns {
  /**
   * Estimates a campaign and, unless it is a dry run, starts it.
   * @throws {AppError} `unknown_preset`, `tenant_not_allowed`, `tenant_not_found`.
   */
  start(principal: Principal, request: CampaignRequest): Promise<CampaignStart>;
  /**
   * Counts the images whose fingerprints or embeddings are outdated and, unless it is a dry run, starts to compute them again.
   * @throws {AppError} `tenant_not_allowed`, `tenant_not_found`.
   */
  startReindexing(principal: Principal, request: ReindexingRequest): Promise<ReindexingStart>;
  /** Lists campaigns, newest first. */
  list(principal: Principal, page: PageRequest): Promise<Page<Campaign>>;
  /** Returns a campaign. @throws {AppError} `rendering_not_found`. */
  find(principal: Principal, id: number): Promise<CampaignReport>;
  /** Stops a campaign until it is resumed. @throws {AppError} `rendering_not_found`, `rendering_finished`. */
  pause(principal: Principal, id: number): Promise<CampaignReport>;
  /** Continues a paused campaign. @throws {AppError} `rendering_not_found`, `rendering_finished`. */
  resume(principal: Principal, id: number): Promise<CampaignReport>;
  /** Ends a campaign. Jobs that are running finish. @throws {AppError} `rendering_not_found`, `rendering_finished`. */
  cancel(principal: Principal, id: number): Promise<CampaignReport>;
}

interface Dependencies {
  readonly campaigns: CampaignQueries;
  readonly tenants: Pick<TenantQueries, 'find'>;
  readonly presets: Pick<PresetsInForce, 'forRendering'>;
  readonly fillCampaigns: FillCampaigns;
  /** What images are described with now. */
  readonly version: DescriptionVersion;
}

/** Maximum number of failures in a report. */
const maxFailures = 100;

/** @see Campaigns */
export function makeCampaigns(deps: Dependencies): Campaigns {
  const { campaigns, presets, version } = deps;

  async function find(principal: Principal, id: number): Promise<CampaignReport> {
    const campaign = await campaigns.find(principal, id);
    if (!campaign) throw new AppError('rendering_not_found', `There is no re-rendering ${id}.`);
    return { ...campaign, failures: await campaigns.listFailures(id, maxFailures) };
  }

  async function change(principal: Principal, id: number, kind: CampaignChange): Promise<CampaignReport> {
    const outcome = await campaigns.change(principal, id, kind);
    // Unbound, because other campaigns may belong to other tenants.
    if (outcome === 'changed') await runUnbound(deps.fillCampaigns);
    const campaign = await find(principal, id);
    if (outcome !== 'finished') return campaign;
    throw new AppError(
      'rendering_finished',
      `Re-rendering ${id} is ${campaign.state} and can no longer be changed.`,
    );
  }

  return {
    async start(principal, request) {
      const chosenPresets = choosePresets(await presets.forRendering(), request.presets);
      const tenantId = await chooseTenantId(deps, principal, request.tenant);
      const estimate = await estimateCampaign(deps, chosenPresets, tenantId);
      if (request.isDryRun) return { estimate, campaign: undefined };
      const id = await campaigns.create(principal, {
        presets: chosenPresets.map(({ name }) => name),
        tenantId,
        images: estimate.images,
        files: estimate.files.reduce((sum, { files }) => sum + files, 0),
      });
      await runUnbound(deps.fillCampaigns);
      return { estimate, campaign: await find(principal, id) };
    },
    async startReindexing(principal, request) {
      const tenantId = await chooseTenantId(deps, principal, request.tenant);
      const images = await campaigns.countOutdatedDescriptions(tenantId, version);
      if (request.isDryRun) return { images, campaign: undefined };
      const id = await campaigns.createReindexing(principal, { ...version, tenantId, images });
      await runUnbound(deps.fillCampaigns);
      return { images, campaign: await find(principal, id) };
    },
    list: (principal, page) => campaigns.list(principal, page),
    find,
    pause: (principal, id) => change(principal, id, 'pause'),
    resume: (principal, id) => change(principal, id, 'resume'),
    cancel: (principal, id) => change(principal, id, 'cancel'),
  };
}

/** Returns the presets with these names, in the order of `PRESETS`. @throws {AppError} `unknown_preset`. */
function choosePresets(presets: readonly Preset[], names: readonly string[]): readonly Preset[] {
  const unknownName = names.find((name) => !presets.some((preset) => preset.name === name));
  if (unknownName === undefined) return presets.filter(({ name }) => names.includes(name));
  throw new AppError(
    'unknown_preset',
    `There is no preset ${JSON.stringify(unknownName.slice(0, 40))}; the presets are ${presets.map(({ name }) => name).join(', ')}.`,
  );
}

/** Returns the id of the tenant whose images to process; `null` for all tenants. */
async function chooseTenantId(
  { tenants }: Dependencies,
  principal: Principal,
  name: string | undefined,
): Promise<number | null> {
  if (name === undefined) return principal.tenantId;
  return (await findTenant(tenants, principal, name)).id;
}
