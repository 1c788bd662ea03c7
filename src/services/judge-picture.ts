import { AppError } from '../errors.ts';
import type { IntakeFacts } from '../model/intake-facts.ts';
import { describeViolation, findViolations, type Violation } from '../model/intake-rules.ts';
import type { SettingsCache } from './settings-cache.ts';

/**
 * Judges a picture by the intake rules of its tenant. Returns the rules with the action `warn` that it breaks.
 * @param mayReject whether rules with the action `reject` apply; otherwise, they warn. A picture that is processed again is
 *   never rejected, because its image may be in use.
 * @throws {AppError} `picture_rejected` if the picture breaks a rule with the action `reject`.
 */
export type JudgePicture = (
  tenantId: number,
  facts: IntakeFacts,
  mayReject: boolean,
) => Promise<readonly Violation[]>;

interface Dependencies {
  readonly settings: Pick<SettingsCache, 'find'>;
}

/** @see JudgePicture */
export function makeJudgePicture({ settings }: Dependencies): JudgePicture {
  return async (tenantId, facts, mayReject) => {
    const { intake_rules: rules } = await settings.find(tenantId);
    const found = findViolations(facts, rules);
    const violations = found.map(({ action: _action, ...violation }) => violation);
    const rejecting = violations.filter((_, index) => mayReject && found[index]?.action === 'reject');
    if (rejecting.length === 0) return violations;
    throw new AppError('picture_rejected', rejecting.map(describeViolation).join(' '), {
      details: { violations: rejecting },
    });
  };
}
