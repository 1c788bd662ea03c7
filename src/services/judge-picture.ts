import type { ImageQueries } from '../db/images/images.ts';
import { AppError } from '../errors.ts';
import type { IntakeFacts } from '../model/intake-facts.ts';
import { describeViolation, findViolations, type Violation } from '../model/intake-rules.ts';
import type { ClaimedJob } from '../model/job.ts';
import { systemPrincipal } from '../model/principal.ts';
import type { SettingsCache } from './settings-cache.ts';

/**
 * Judges a job's picture by the intake rules of its tenant. Returns the rules that it breaks, of which the record warns.
 * @throws {AppError} `picture_rejected` if the picture breaks a rule with the action `reject`, unless its image already has
 *   renditions: such an image may be in use.
 */
export type JudgePicture = (job: ClaimedJob, facts: IntakeFacts) => Promise<readonly Violation[]>;

interface Dependencies {
  readonly settings: Pick<SettingsCache, 'find'>;
  readonly images: Pick<ImageQueries, 'find'>;
}

/** @see JudgePicture */
export function makeJudgePicture({ settings, images }: Dependencies): JudgePicture {
  return async (job, facts) => {
    const { intake_rules: rules } = await settings.find(job.tenantId);
    const violations = findViolations(facts, rules);
    const rejecting = violations.filter(({ action }) => action === 'reject').map(withoutAction);
    if (rejecting.length > 0 && !(await hasRenditions(images, job)))
      throw new AppError('picture_rejected', rejecting.map(describeViolation).join(' '), {
        details: { violations: rejecting },
      });
    return violations.map(withoutAction);
  };
}

function withoutAction({ rule, limit, value }: Violation): Violation {
  return { rule, limit, value };
}

async function hasRenditions({ find }: Pick<ImageQueries, 'find'>, job: ClaimedJob): Promise<boolean> {
  if (job.isFirstRun) return false;
  const image = await find(systemPrincipal, { id: job.imageId });
  return image !== undefined && image.renditions.length > 0;
}
