import { describe } from 'vitest';
import { makeDatabaseCounts } from '../../src/db/request-counts.ts';
import { useDatabase } from '../support/inner/database.ts';
import { describeRemoval, describeRequestCounts } from '../services/limits/request-counts-contract.ts';

const database = await useDatabase();

describe('counts in the database', () => {
  describeRequestCounts(() => makeDatabaseCounts(database));
  describeRemoval(() => makeDatabaseCounts(database));
});
