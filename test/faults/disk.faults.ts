import { test } from 'vitest';
import { services } from '../support/services.ts';
import { fillPictureDisk } from './scenarios/full-picture-disk.ts';
import { fillDatabaseDisk } from './scenarios/full-database-disk.ts';
import { faultRounds } from './support/settings.ts';
import { canMountSmallDisks } from './support/small-disk.ts';

const canRun = canMountSmallDisks();

test.runIf(canRun)('survives a full picture disk with the embedded database', async () => {
  await fillPictureDisk(faultRounds, 'embedded');
});

test.runIf(canRun && services.databaseUrl)('survives a full picture disk with PostgreSQL', async () => {
  await fillPictureDisk(faultRounds, 'postgres');
});

test.runIf(canRun)("recovers after the embedded database's disk has been full", async () => {
  await fillDatabaseDisk(faultRounds);
});
