import { expect } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import { rowsOf } from '../../support/inner/database.ts';
import { countedUsage, recountedUsage } from '../../support/inner/recount.ts';
import type { Victim } from './installation.ts';

/** Holds the database to it that every job ended well, that nothing is there twice, and that its counters are right. */
export async function expectSoundDatabase({ openDatabase }: Victim): Promise<void> {
  const database = await openDatabase();
  try {
    await expectSoundRows(database);
  } finally {
    await database.close();
  }
}

async function expectSoundRows(database: Database): Promise<void> {
  const ask = (statement: string) => rowsOf(database, statement);
  expect(await ask(unfinishedJobs), 'jobs that did not end well').toEqual([]);
  expect(await ask(unfinishedImages), 'images that are not complete').toEqual([]);
  expect(await ask(wrongRenditions), 'images without each rendition once').toEqual([]);
  expect(await ask(doubledContent), 'contents that are there twice').toEqual([]);
  expect(await countedUsage(database), 'counters of usage').toEqual(await recountedUsage(database));
}

const unfinishedJobs = `
  SELECT id, kind, state, retries, crashes, lease_losses, error_code, history FROM jobs WHERE state <> 'completed'`;

const unfinishedImages = `
  SELECT id, status, error_code, error FROM images WHERE status <> 'completed' OR error IS NOT NULL`;

const wrongRenditions = `
  SELECT i.id, array_agg(r.preset ORDER BY r.preset) AS presets FROM images i
  LEFT JOIN renditions r ON r.image_id = i.id GROUP BY i.id
  HAVING count(*) <> 3 OR count(DISTINCT r.preset) <> 3`;

const doubledContent = `
  SELECT tenant_id, content_hash, count(*) FROM images WHERE deleted_at IS NULL AND duplicate_of IS NULL
  GROUP BY tenant_id, content_hash HAVING count(*) > 1`;
