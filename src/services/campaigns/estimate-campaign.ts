import type { CampaignQueries } from '../../db/campaigns/campaigns.ts';
import type { OutdatedFiles } from '../../db/campaigns/outdated-images.ts';
import type { CampaignEstimate, FileEstimate } from '../../model/campaign.ts';
import type { Preset } from '../../model/preset.ts';
import { findOutdatedVariants, listExpectedVariants } from './outdated-variants.ts';

interface Dependencies {
  readonly campaigns: Pick<
    CampaignQueries,
    'countOutdated' | 'readFocused' | 'readMeanBytes' | 'readMeanJobSeconds'
  >;
}

/**
 * Estimates what a campaign would do, from the outdated images, the mean size of existing files and the mean time of recent
 * jobs.
 * @param tenantId `null` for the images of all tenants
 */
export async function estimateCampaign(
  { campaigns }: Dependencies,
  presets: readonly Preset[],
  tenantId: number | null,
): Promise<CampaignEstimate> {
  const scope = { tenantId, expected: listExpectedVariants(presets) };
  const { images, files } = await campaigns.countOutdated(scope);
  const focused = await countFocused({ campaigns }, presets, scope);
  const means = await campaigns.readMeanBytes(presets.map(({ name }) => name));
  const estimates = addUp([...files, ...focused.files]).map((file): FileEstimate => {
    const mean = means.find(({ preset, format }) => preset === file.preset && format === file.format);
    return { ...file, bytes: mean ? Math.round(mean.bytes * file.files) : null };
  });
  const imageCount = images + focused.images;
  const jobSeconds = await campaigns.readMeanJobSeconds();
  return {
    images: imageCount,
    files: estimates,
    bytes: addKnown(estimates.map(({ bytes }) => bytes)),
    workSeconds: jobSeconds === undefined ? null : jobSeconds * imageCount,
  };
}

/** Counts images whose recipes depend on their focal point. The database cannot compute these recipes. */
async function countFocused(
  { campaigns }: Dependencies,
  presets: readonly Preset[],
  scope: Parameters<CampaignQueries['readFocused']>[0],
): Promise<{ images: number; files: OutdatedFiles[] }> {
  const files: OutdatedFiles[] = [];
  let images = 0;
  let page = await campaigns.readFocused(scope, 0);
  while (page.length > 0) {
    for (const { renditions, focalPoint } of page) {
      const variants = findOutdatedVariants(presets, renditions, focalPoint);
      if (variants.length > 0) images++;
      files.push(...variants.map(({ preset, format }) => ({ preset: preset.name, format, files: 1 })));
    }
    page = await campaigns.readFocused(scope, page.at(-1)?.id ?? 0);
  }
  return { images, files: addUp(files) };
}

/** Adds the numbers of files with the same preset and format. */
function addUp(files: readonly OutdatedFiles[]): OutdatedFiles[] {
  const groups = Map.groupBy(files, ({ preset, format }) => `${preset} ${format}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first ? [{ ...first, files: group.reduce((sum, { files: count }) => sum + count, 0) }] : [];
  });
}

/** Returns the sum, or `null` if any of the numbers is unknown. */
function addKnown(numbers: readonly (number | null)[]): number | null {
  return numbers.reduce<number | null>(
    (sum, number) => (sum === null || number === null ? null : sum + number),
    0,
  );
}
