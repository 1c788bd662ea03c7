import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeAuditChainQueries } from '../../src/db/audit-chains/audit-chains.ts';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import { sealAll, tamper, writeEntry } from '../support/inner/audit-log.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { openTestServerDatabase, serverDatabaseUrl } from '../support/inner/server-database.ts';
import { mainModule, runProgram } from '../support/process/command.ts';

const entryCount = 100_000;

/** Heap of the command in MiB. It is too small for all entries: they take more than 100 MiB. */
const heapMiB = 64;

test('verifies and exports a hundred thousand entries in little memory', { tags: 'slow' }, async () => {
  const { name, database } = await openTestServerDatabase();
  const { id: tenantId } = await makeTenantQueries(database).ensure('large');
  await writeEntry(database, { tenantId, count: entryCount, target: 'x'.repeat(200) });
  await sealAll(makeAuditChainQueries(database));
  const folder = await makeTestFolder();
  const out = join(folder, 'audit.ndjson');
  const run = (...args: string[]) =>
    runProgram(process.execPath, [`--max-old-space-size=${heapMiB}`, mainModule, 'audit', ...args], {
      DATA_DIR: folder,
      DATABASE_URL: serverDatabaseUrl(name),
    });
  expect(await run('export', '--out', out)).toMatchObject({
    code: 0,
    stderr: `Exported 100,000 entries to ${out}.\n`,
  });
  const positions = readFileSync(out, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { position: number }).position);
  expect(positions).toHaveLength(entryCount);
  expect(new Set(positions).size).toBe(entryCount);
  expect(await run('verify')).toMatchObject({
    code: 0,
    stdout: 'The audit log is intact: 100,000 entries in 1 chain.\n',
  });
  await tamper(database, `UPDATE audit_log SET details = '{}' WHERE position = 77777`);
  expect(await run('verify')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Tenant large, position 77777'),
  });
});
