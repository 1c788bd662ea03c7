import { setTimeout as sleep } from 'node:timers/promises';
import { openQueue } from '../../app/open-back-ends.ts';
import { checkAccess } from './access-checks.ts';
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
  const storageFindings = await checkStorage(config);
  const databaseFindings = await checkDatabase(config);
  const isDatabaseReachable = !databaseFindings.some(
    ({ subject, remedy }) => subject === 'database' && remedy !== undefined,
  );
  // If the database server is unreachable, a queue on that server is not checked, because the check would report the
  // same problem again.
  const canCheckQueue = isDatabaseReachable || config.queue.kind === 'redis';
  const queueFindings = canCheckQueue ? await checkQueue(config) : [];
  const findings = [
    ...checkVersions(),
    ...checkAccess(config),
    ...checkPrivacy(config),
    ...databaseFindings,
    ...storageFindings,
    ...queueFindings,
  ];
  for (const finding of findings) output.write(formatFinding(finding));
  // They describe a running server, but with these problems none starts.
  const exposureWarnings = config.access.problems.length > 0 ? [] : config.exposureWarnings;
  for (const warning of [...exposureWarnings, ...config.warnings]) output.write(`note  ${warning}\n`);
  const failureCount = findings.filter(({ remedy, isWarning }) => remedy !== undefined && !isWarning).length;
  output.write(
    failureCount === 0
      ? '\nEverything is fine.\n'
      : `\n${failureCount === 1 ? '1 problem' : `${failureCount} problems`} found.\n`,
  );
  return failureCount === 0 ? 0 : 1;
}

function formatFinding({ subject, state, remedy, isWarning = false }: Finding): string {
  const level = isWarning ? 'note' : 'FAIL';
  const line = `${remedy === undefined ? 'ok  ' : level}  ${subject.padEnd(12)} ${state}\n`;
  return remedy === undefined ? line : `${line}      → ${remedy}\n`;
}

/** Minimum Node version. Older versions either lack type stripping or print warnings about it. */
const minNodeVersion = '24.12.0';

/** Checks the versions of Vitrine, Node and the image library. */
function checkVersions(): Finding[] {
  const nodeVersion = process.versions.node;
  const sharpVersion = installedLibraryVersion();
  return [
    { subject: 'Vitrine', state: version },
    {
      subject: 'Node',
      state: `${nodeVersion} (minimum ${minNodeVersion})`,
      remedy: isAtLeast(nodeVersion, minNodeVersion)
        ? undefined
        : 'Install a newer version of Node, or use the npm scripts, which use the version in node_modules.',
    },
    {
      subject: 'decoder',
      state: `sharp ${sharpVersion} (minimum ${minimumLibrary.version})`,
      remedy: isAtLeast(sharpVersion, minimumLibrary.version)
        ? undefined
        : `Run npm ci: ${minimumLibrary.reason}`,
    },
  ];
}

const queueServerNames = { redis: 'Redis', postgres: 'PostgreSQL' };

/** Maximum time to wait for the queue to connect. */
const connectTimeoutMs = 3_000;

/** Checks the server that notifies workers of new jobs, if there is one. */
async function checkQueue(config: Config): Promise<Finding[]> {
  if (config.queue.kind === 'in-process') return [];
  const queue = await openQueue(config, await makeLogger({ ...config.log, level: 'silent' }));
  try {
    for (let waitedMs = 0; queue.outageReason() !== undefined && waitedMs < connectTimeoutMs; waitedMs += 100)
      await sleep(100);
    const outageReason = queue.outageReason();
    const remedy = `Check ${config.queue.kind === 'redis' ? 'REDIS_URL' : 'DATABASE_URL'}, and make sure that the server is running.`;
    return [
      outageReason === undefined
        ? { subject: 'queue', state: `${queueServerNames[config.queue.kind]} notifies workers of new jobs` }
        : { subject: 'queue', state: outageReason, remedy },
    ];
  } finally {
    await queue.close();
  }
}
