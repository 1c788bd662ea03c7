import { describe } from 'vitest';
import { makeMemoryCounts } from '../../../src/services/limits/memory-counts.ts';
import { describeRemoval, describeRequestCounts } from './request-counts-contract.ts';

describe('counts in memory', () => {
  const counts = makeMemoryCounts();
  describeRequestCounts(() => counts);
  describeRemoval(() => counts);
});
