import { describe } from 'vitest';
import { testReading } from './contract/reading.ts';
import { testStoring } from './contract/storing.ts';
import type { StorageUnderTest } from './contract/support.ts';

/** Defines the contract tests for a storage driver. `makeStorage` creates an empty store for each test. */
export function describeStorage(name: string, makeStorage: () => Promise<StorageUnderTest>): void {
  describe(`storage: ${name}`, () => {
    testReading(makeStorage);
    testStoring(makeStorage);
  });
}
