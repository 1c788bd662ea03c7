import { setTimeout as sleep } from 'node:timers/promises';
import { openQueue } from '../../app/open-engines.ts';
import { checkDatabase } from './database-checks.ts';
import type { Finding } from './finding.ts';
import { checkPrivacy, checkStorage } from './storage-checks.ts';
import type { Output } from '../terminal.ts';
import type { Config } from '../../config.ts';
import { minimumLibrary, installedLibraryVersion } from '../../imaging/library-version.ts';
import { makeLogger } from '../../telemetry/logger.ts';
import { isAtLeast, version } from '../../version.ts';

/** Runs `vitrine doctor`: checks everything that Vitrine needs and suggests fixes. Returns the exit code. */
export async function diagnose(config: Config, output: Output): Promise<number> {
  const storage = await checkStorage(config);
  const database = await checkDatabase(config);
  // An unreachable database server is reported only once, and not as a failing queue too.
  const isReachable = !database.some(({ subject, remedy }) => subject === 'database' && remedy !== undefined);
  const queue = isReachable || config.queue.kind === 'redis' ? await checkQueue(config) : [];
  const findings = [...checkVersions(), ...checkPrivacy(config), ...database, ...storage, ...queue];
  for (const finding of findings) output.write(formatFinding(finding));
  for (const warning of [...config.exposureWarnings, ...config.warnings]) output.write(`note  ${warning}\n`);
  const failed = findings.filter(({ remedy, isWarning }) => remedy !== undefined && !isWarning).length;
  output.write(
    failed === 0
      ? '\nEverything is fine.\n'
      : `\n${failed === 1 ? '1 problem' : `${failed} problems`} found.\n`,
  );
  return failed === 0 ? 0 : 1;
}

function formatFinding({ subject, state, remedy, isWarning = false }: Finding): string {
  const level = isWarning ? 'note' : 'FAIL';
  const line = `${remedy === undefined ? 'ok  ' : level}  ${subject.padEnd(12)} ${state}\n`;
  return remedy === undefined ? line : `${line}      → ${remedy}\n`;
}

/** Minimum version. Older ones do not support type stripping, or print warnings about it. */
const minNodeVersion = '24.12.0';

/** Checks the versions of Vitrine, Node and the image library. */
function checkVersions(): Finding[] {
  const node = process.versions.node;
  const decoder = installedLibraryVersion();
  return [
    { subject: 'Vitrine', state: version },
    {
      subject: 'Node',
      state: `${node} (needs ${minNodeVersion})`,
      remedy: isAtLeast(node, minNodeVersion)
        ? undefined
        : 'Install a newer Node, or use the npm scripts, which use the Node in node_modules.',
    },
    {
      subject: 'decoder',
      state: `sharp ${decoder} (needs ${minimumLibrary.version})`,
      remedy: isAtLeast(decoder, minimumLibrary.version) ? undefined : `Run npm ci: ${minimumLibrary.reason}`,
    },
  ];
}

const queueNames = { redis: 'Redis', postgres: 'PostgreSQL' };

/** Maximum time to wait for the queue to connect. */
const connectMs = 3_000;

/** Checks the server that notifies workers of new jobs, if there is one. */
async function checkQueue(config: Config): Promise<Finding[]> {
  if (config.queue.kind === 'in-process') return [];
  const queue = await openQueue(config, await makeLogger({ ...config.log, level: 'silent' }));
  try {
    for (let waited = 0; queue.outageReason() !== undefined && waited < connectMs; waited += 100)
      await sleep(100);
    const trouble = queue.outageReason();
    const remedy = `Check ${config.queue.kind === 'redis' ? 'REDIS_URL' : 'DATABASE_URL'} and that the server is running.`;
    return [
      trouble === undefined
        ? { subject: 'queue', state: `${queueNames[config.queue.kind]} notifies workers of new jobs` }
        : { subject: 'queue', state: trouble, remedy },
    ];
  } finally {
    await queue.close();
  }
}
