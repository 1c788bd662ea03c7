import { sql } from 'kysely';
import type { PresetChanges } from '../model/preset-changes.ts';
import type { Preset } from '../model/preset.ts';
import { systemPrincipal } from '../model/principal.ts';
import { insertAudit } from './audit.ts';
import type { Database, Queryable } from './database.ts';
import { retryingTransaction } from './engine/retrying.ts';

/** The presets in force, as they are stored. */
export interface StoredPresets {
  /** Increases with each change. */
  readonly version: number;
  /** Not validated, because another version of the program may have stored them. */
  readonly presets: unknown;
  /** Version of the program that stored them. */
  readonly registeredBy: string;
}

/** A change of the presets in force. */
export interface PresetRegistration {
  readonly presets: readonly Preset[];
  /** How they differ from those that were in force. `undefined` if there were none; this is not recorded in the audit log. */
  readonly changes: PresetChanges | undefined;
}

/** Queries on the presets in force. */
export type PresetQueries = ReturnType<typeof makePresetQueries>;

/** Key of the advisory lock that a registration takes. No other lock uses this key. */
const registrationLockKey = 7_239_004;

/** @see PresetQueries */
export function makePresetQueries({ sql: db }: Database) {
  async function select(queryable: Queryable): Promise<StoredPresets | undefined> {
    const { rows } = await sql<StoredPresets>`
      SELECT version, presets, registered_by AS "registeredBy" FROM presets_in_force`.execute(queryable);
    return rows[0];
  }

  return {
    /** Returns the presets in force, or `undefined` if none have been registered. */
    find: () => select(db),

    /**
     * Replaces the presets in force, and records what changed in the audit log.
     * @param programVersion version of this program
     * @param decide returns the registration, given the presets that no other process can change meanwhile; `undefined`
     *   leaves them as they are
     * @returns the presets that are then in force
     */
    register: (
      programVersion: string,
      decide: (stored: StoredPresets | undefined) => PresetRegistration | undefined,
    ): Promise<StoredPresets | undefined> =>
      retryingTransaction(db, async (transaction) => {
        // There may be no row yet that could be locked.
        await sql`SELECT pg_advisory_xact_lock(${registrationLockKey})`.execute(transaction);
        const stored = await select(transaction);
        const registration = decide(stored);
        if (!registration) return stored;
        const { rows } = await sql<StoredPresets>`
          INSERT INTO presets_in_force (version, presets, registered_by)
          VALUES (1, ${JSON.stringify(registration.presets)}::jsonb, ${programVersion})
          ON CONFLICT (is_only_row) DO UPDATE SET version = presets_in_force.version + 1, presets = excluded.presets,
            registered_by = excluded.registered_by, registered_at = now()
          RETURNING version, presets, registered_by AS "registeredBy"`.execute(transaction);
        const { changes } = registration;
        if (changes) await recordChange(transaction, { version: rows[0]?.version, ...changes });
        return rows[0];
      }),
  };
}

async function recordChange(transaction: Queryable, details: object): Promise<void> {
  await insertAudit(systemPrincipal, {
    action: 'presets.change',
    from: sql`(SELECT) registration`,
    tenantId: sql`NULL::int`,
    target: sql`NULL::text`,
    details: sql`${JSON.stringify(details)}::jsonb`,
  }).execute(transaction);
}
