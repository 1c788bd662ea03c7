import { test } from 'vitest';
import { services } from '../support/services.ts';
import { fillDiskOfPictures } from './scenarios/disk.ts';
import { fillDiskOfEmbeddedDatabase } from './scenarios/full-database.ts';
import { faultRounds } from './support/settings.ts';
import { hasSmallDisks } from './support/small-disk.ts';

const isPossible = hasSmallDisks();

test.runIf(isPossible)('the disk of the pictures is full, with the embedded database', async () => {
  await fillDiskOfPictures(faultRounds, 'embedded');
});

test.runIf(isPossible && services.databaseUrl)(
  'the disk of the pictures is full, with PostgreSQL',
  async () => {
    await fillDiskOfPictures(faultRounds, 'postgres');
  },
);

test.runIf(isPossible)('the disk of the embedded database is full', async () => {
  await fillDiskOfEmbeddedDatabase(faultRounds);
});
