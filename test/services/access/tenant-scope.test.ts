import { expect, onTestFinished, test } from 'vitest';
import type { Queries } from '../../../src/db/queries.ts';
import { type Principal, unrestrictedPrincipal } from '../../../src/model/principal.ts';
import { boundTenantId } from '../../../src/tenant-scope.ts';
import { makeWorker } from '../../../src/worker/worker.ts';
import { recordPending } from '../../support/inner/jobs.ts';
import { makeUniquePicture } from '../../support/inner/pictures.ts';
import { makeRig, type Rig, useTestResources } from '../../support/inner/rig.ts';

const resources = await useTestResources();

type Group = Record<string, unknown>;

/** Creates a rig that records to which tenant each query is bound. */
async function makeRecordingRig() {
  const calls: { readonly query: string; readonly tenantId: number | null }[] = [];
  const record = (name: string, group: Group): Group =>
    Object.fromEntries(
      Object.entries(group).map(([method, run]) => [
        method,
        (...args: unknown[]) => {
          calls.push({ query: `${name}.${method}`, tenantId: boundTenantId() });
          return (run as (...parameters: unknown[]) => unknown)(...args);
        },
      ]),
    );
  const rig = await makeRig(resources, {
    replaceQueries: (queries) =>
      Object.fromEntries(
        Object.entries(queries).map(([name, group]) => [name, record(name, group)]),
      ) as unknown as Queries,
  });
  return {
    rig,
    tenantsOf: (query: string) => calls.filter((call) => call.query === query).map((call) => call.tenantId),
  };
}

async function shopPrincipal(rig: Rig): Promise<Principal> {
  const { id } = await rig.tenants.ensure('shop');
  return { ...unrestrictedPrincipal, tenantId: id, tenantName: 'shop' };
}

test('binds the queries of a use case to the tenant of the caller, but not the job that it starts', async () => {
  const { rig, tenantsOf } = await makeRecordingRig();
  const principal = await shopPrincipal(rig);
  const upload = {
    file: await rig.receive(await makeUniquePicture()),
    filename: 'vase.jpg',
    mode: 'inline',
  } as const;
  const { image } = await rig.services.ingestUpload(principal, upload);
  expect(image.status).toBe('completed');
  expect(tenantsOf('jobs.enqueueUpload')).toEqual([principal.tenantId]);
  expect(tenantsOf('jobs.complete')).toEqual([null]);
  await rig.services.retrieve.find(unrestrictedPrincipal, { id: image.id });
  await rig.services.retrieve.find(principal, { id: image.id });
  expect(tenantsOf('images.find').slice(-2)).toEqual([null, principal.tenantId]);
});

test('does not bind a worker to the tenant of the request that woke it', async () => {
  const { rig, tenantsOf } = await makeRecordingRig();
  const principal = await shopPrincipal(rig);
  const importLimits = { perHost: 0, perTenant: 0 };
  const worker = makeWorker({ ...rig, kind: 'derive', capacity: 2, leaseSeconds: 60, importLimits });
  worker.start();
  onTestFinished(() => worker.stop());
  const upload = {
    file: await rig.receive(await makeUniquePicture()),
    filename: 'vase.jpg',
    mode: 'queued',
  } as const;
  const { image } = await rig.services.ingestUpload(principal, upload);
  const rival = await rig.tenants.ensure('rival');
  const { jobId } = await recordPending(rig.database, rival.id, 'of rival');
  await rig.services.ingestUrls.one(principal, { url: 'http://127.0.0.1:9/vase.jpg' }).catch(() => undefined);
  await expect.poll(async () => (await rig.image(image.id))?.status).toBe('completed');
  await expect.poll(async () => (await rig.report(jobId))?.startedAt).toBeInstanceOf(Date);
  expect(new Set(tenantsOf('jobs.claimDue'))).toEqual(new Set([null]));
});

test('binds a verification of the audit log while it is read', async () => {
  const { rig, tenantsOf } = await makeRecordingRig();
  const principal = await shopPrincipal(rig);
  const events = await Array.fromAsync(await rig.services.audit.verify(principal, undefined));
  expect(events.map(({ kind }) => kind)).toEqual(['chain', 'unsealed']);
  expect(new Set(tenantsOf('auditChains.verifyChain'))).toEqual(new Set([principal.tenantId]));
});

test('binds an export of the audit log while it is read', async () => {
  const { rig, tenantsOf } = await makeRecordingRig();
  const principal = await shopPrincipal(rig);
  await rig.services.apiKeys.create(principal, { name: 'robot', role: 'reader' });
  const entries = [];
  for await (const batch of await rig.services.audit.export(principal, {})) entries.push(...batch);
  expect(entries.map(({ action }) => action)).toContain('key.create');
  expect(new Set(tenantsOf('audit.listFrom'))).toEqual(new Set([principal.tenantId]));
});
