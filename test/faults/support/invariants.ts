import { expect } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import { rowsOf } from '../../support/inner/database.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';
import type { FaultTarget } from './installation.ts';

/** Expects that every job has completed, that there are no duplicate rows, and that the counters are correct. */
export async function expectConsistentDatabase({ openDatabase }: FaultTarget): Promise<void> {
  const database = await openDatabase();
  try {
    await expectConsistentRows(database);
  } finally {
    await database.close();
  }
}

async function expectConsistentRows(database: Database): Promise<void> {
  const query = (statement: string) => rowsOf(database, statement);
  expect(await query(unfinishedJobsQuery), 'jobs that did not complete').toEqual([]);
  expect(await query(unfinishedImagesQuery), 'images that are not completed').toEqual([]);
  expect(await query(wrongRenditionsQuery), 'images that do not have each rendition once').toEqual([]);
  expect(await query(duplicateContentsQuery), 'contents that are stored twice').toEqual([]);
  expect(await usageFromCounters(database), 'usage counters').toEqual(await usageFromRows(database));
}

const unfinishedJobsQuery = `
  SELECT id, kind, state, retries, crashes, lease_losses, error_code, history FROM jobs WHERE state <> 'completed'`;

const unfinishedImagesQuery = `
  SELECT id, status, error_code, error FROM images WHERE status <> 'completed' OR error IS NOT NULL`;

const wrongRenditionsQuery = `
  SELECT i.id, array_agg(r.preset ORDER BY r.preset) AS presets FROM images i
  LEFT JOIN renditions r ON r.image_id = i.id GROUP BY i.id
  HAVING count(*) <> 3 OR count(DISTINCT r.preset) <> 3`;

const duplicateContentsQuery = `
  SELECT tenant_id, content_hash, count(*) FROM images WHERE deleted_at IS NULL AND duplicate_of IS NULL
  GROUP BY tenant_id, content_hash HAVING count(*) > 1`;
