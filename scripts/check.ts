import { spawnSync } from 'node:child_process';

/** The steps of `npm run check`, fastest first. */
const steps = [
  ['format', 'biome', 'format', '.'],
  ['lint', 'oxlint', '--type-aware'],
  ['types', 'tsc'],
  ['dead code', 'knip'],
  ['dead code in production', 'knip', '--production'],
  ['lockfile', 'node', 'scripts/complete-lockfile.ts', '--check'],
  ['generated row types', 'node', 'scripts/schema-types.ts', '--check'],
  ['generated documentation', 'node', 'scripts/configuration-docs.ts', '--check'],
  ['generated OpenAPI document', 'node', 'scripts/openapi-docs.ts', '--check'],
  ['generated access tables', 'node', 'scripts/access-docs.ts', '--check'],
] as const;

let failureCount = 0;
for (const [name, command, ...args] of steps) {
  const startedAt = performance.now();
  const { status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) failureCount++;
  console.log(
    `${status === 0 ? 'ok  ' : 'FAIL'} ${name} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`,
  );
}
process.exitCode = failureCount === 0 ? 0 : 1;
