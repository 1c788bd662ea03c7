import type { Config } from '../../config.ts';
import type { Output } from '../output.ts';
import { checkData } from './data-checks.ts';
import { checkPrivacy } from './privacy-checks.ts';
import { checkQueue } from './queue-checks.ts';
import type { Finding } from './finding.ts';
import { checkVersions } from './version-checks.ts';

/** `vitrine doctor`: looks at everything that Vitrine needs and says what to do about what is wrong. */
export async function diagnose(config: Config, output: Output): Promise<number> {
  const data = await checkData(config);
  // A database that cannot be reached is told once.
  const isReached = !data.some(({ subject, remedy }) => subject === 'database' && remedy !== undefined);
  const queue = isReached || config.queue.kind === 'redis' ? await checkQueue(config) : [];
  const findings = [...checkVersions(), ...checkPrivacy(config), ...data, ...queue];
  for (const finding of findings) output.write(line(finding));
  for (const warning of [...config.exposureWarnings, ...config.warnings]) output.write(`note  ${warning}\n`);
  const failed = findings.filter(({ remedy, isWarning }) => remedy !== undefined && !isWarning).length;
  output.write(
    failed === 0
      ? '\nAll is well.\n'
      : `\n${failed === 1 ? 'One thing needs' : `${failed} things need`} attention.\n`,
  );
  return failed === 0 ? 0 : 1;
}

function line({ subject, state, remedy, isWarning = false }: Finding): string {
  const failed = isWarning ? 'note' : 'FAIL';
  const head = `${remedy === undefined ? 'ok  ' : failed}  ${subject.padEnd(12)} ${state}\n`;
  return remedy === undefined ? head : `${head}      → ${remedy}\n`;
}
