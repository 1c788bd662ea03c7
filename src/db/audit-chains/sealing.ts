import { sql } from 'kysely';
import type { Database, Queryable } from '../database.ts';
import { chainOf, chainHash, chainStart, hashedText, type Link } from './chain.ts';

/** Key of an advisory lock, so that only one process seals at a time. No other lock uses it. */
const sealLock = 7_239_014;

/** Entries sealed per transaction. */
const batchSize = 1_000;

interface UnsealedEntry {
  readonly id: number;
  readonly chain: number;
  readonly tenant: string | null;
  readonly text: string;
}

type ChainEnd = Link & Pick<UnsealedEntry, 'chain' | 'tenant'>;

/** Creates the query that seals entries. */
export function makeSealingQueries({ sql: db }: Database) {
  return {
    /**
     * Appends entries that are not yet sealed to their chains. Returns the number of entries; 0 if a different process is
     * sealing.
     *
     * The place of an entry in its chain is the order of sealing. The order of ids would not do, because a transaction may
     * commit after one with a higher id, and neither would times, because clocks jump.
     */
    async seal(): Promise<number> {
      // One query, without a transaction, is all that an idle process does.
      const unsealed = await sql`SELECT 1 FROM audit_log WHERE position IS NULL LIMIT 1`.execute(db);
      if (unsealed.rows.length === 0) return 0;
      return db.transaction().execute(async (transaction) => {
        const lock = await sql<{ locked: boolean }>`
          SELECT pg_try_advisory_xact_lock(${sealLock}) AS locked`.execute(transaction);
        return lock.rows[0]?.locked ? sealBatch(transaction) : 0;
      });
    },
  };
}

async function sealBatch(transaction: Queryable): Promise<number> {
  const { rows } = await sql<UnsealedEntry>`
    SELECT id, ${chainOf} AS chain, tenant, ${hashedText} AS text FROM audit_log
    WHERE position IS NULL ORDER BY id LIMIT ${batchSize}`.execute(transaction);
  if (rows.length === 0) return 0;
  const heads = await sql<Link & { readonly chain: number }>`
    SELECT tenant_id AS chain, last_position AS position, last_hash AS hash FROM audit_chains
    WHERE tenant_id = ANY (${rows.map(({ chain }) => chain)}::int[])`.execute(transaction);
  const { sealed, ends } = appendToChains(rows, new Map(heads.rows.map((head) => [head.chain, head])));
  await sql`
    UPDATE audit_log SET position = sealed.position, hash = decode(sealed.hash, 'hex')
    FROM jsonb_to_recordset(${JSON.stringify(sealed.map(toJson))}::jsonb) AS sealed (id bigint, position bigint, hash text)
    WHERE audit_log.id = sealed.id`.execute(transaction);
  await sql`
    INSERT INTO audit_chains (tenant_id, tenant, last_position, last_hash)
    SELECT chain, tenant, position, decode(hash, 'hex')
    FROM jsonb_to_recordset(${JSON.stringify(ends.map(toJson))}::jsonb)
      AS ends (chain int, tenant text, position bigint, hash text)
    ON CONFLICT (tenant_id) DO UPDATE SET last_position = excluded.last_position, last_hash = excluded.last_hash,
      tenant = coalesce(excluded.tenant, audit_chains.tenant)`.execute(transaction);
  return rows.length;
}

/** Computes positions and hashes. @param heads the ends of the chains that exist */
function appendToChains(entries: readonly UnsealedEntry[], heads: ReadonlyMap<number, Link>) {
  const ends = new Map<number, ChainEnd>();
  const sealed = entries.map(({ id, chain, tenant, text }) => {
    const last = ends.get(chain) ?? heads.get(chain) ?? chainStart;
    const link = { position: last.position + 1, hash: chainHash(last.hash, text) };
    ends.set(chain, { ...link, chain, tenant });
    return { ...link, id };
  });
  return { sealed, ends: [...ends.values()] };
}

function toJson<Row extends Link>(row: Row) {
  return { ...row, hash: row.hash.toString('hex') };
}
