import { setTimeout as sleep } from 'node:timers/promises';
import { openQueue } from '../../app/open-engines.ts';
import { checkDatabase } from './database-checks.ts';
import type { Finding } from './finding.ts';
import { checkPrivacy, checkStorage } from './storage-checks.ts';
import type { Output } from '../terminal.ts';
import type { Config } from '../../config.ts';
import { decoderFloor, installedDecoder } from '../../imaging/decoder-floor.ts';
import { isAtLeast } from '../../model/versions.ts';
import { makeLogger } from '../../telemetry/logger.ts';
import { version } from '../../version.ts';

/** `vitrine doctor`: looks at everything that Vitrine needs and says what to do about what is wrong. */
export async function diagnose(config: Config, output: Output): Promise<number> {
  const storage = await checkStorage(config);
  const database = await checkDatabase(config);
  // An unreachable database server is reported once, not again as a broken queue.
  const isReachable = !database.some(({ subject, remedy }) => subject === 'database' && remedy !== undefined);
  const queue = isReachable || config.queue.kind === 'redis' ? await checkQueue(config) : [];
  const findings = [...checkVersions(), ...checkPrivacy(config), ...database, ...storage, ...queue];
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

/** Node below this prints warnings about type stripping, or cannot do it. */
const nodeFloor = '24.12.0';

/** Vitrine's own version, Node's, and that of the image library. */
function checkVersions(): Finding[] {
  const node = process.versions.node;
  const decoder = installedDecoder();
  return [
    { subject: 'Vitrine', state: version },
    {
      subject: 'Node',
      state: `${node} (needs ${nodeFloor})`,
      remedy: isAtLeast(node, nodeFloor)
        ? undefined
        : 'Install a newer Node, or use the npm scripts: npm brings its own.',
    },
    {
      subject: 'decoder',
      state: `sharp ${decoder} (needs ${decoderFloor.version})`,
      remedy: isAtLeast(decoder, decoderFloor.version) ? undefined : `Run npm ci: ${decoderFloor.reason}`,
    },
  ];
}

const names = { redis: 'Redis', postgres: 'PostgreSQL' };

/** Longest wait for what wakes workers up. */
const patienceMs = 3_000;

/** What wakes workers up, where that is a server. */
async function checkQueue(config: Config): Promise<Finding[]> {
  if (config.queue.kind === 'in-process') return [];
  const queue = await openQueue(config, await makeLogger({ ...config.log, level: 'silent' }));
  try {
    for (let waited = 0; queue.trouble() !== undefined && waited < patienceMs; waited += 100)
      await sleep(100);
    const trouble = queue.trouble();
    const remedy = `Check ${config.queue.kind === 'redis' ? 'REDIS_URL' : 'DATABASE_URL'}, and that the server runs.`;
    return [
      trouble === undefined
        ? { subject: 'queue', state: `${names[config.queue.kind]} tells workers of new jobs` }
        : { subject: 'queue', state: trouble, remedy },
    ];
  } finally {
    await queue.close();
  }
}
