import { z } from 'zod';

/** Schema of an entry of the audit log. */
export const entrySchema = z
  .object({
    id: z.int(),
    at: z.iso.datetime(),
    tenant: z.string().nullable().describe('`null` for actions on the whole installation.'),
    actor: z.string(),
    key_id: z.string().nullable().describe('Id of the API key of the actor.'),
    action: z.string().describe('`resource.verb`, such as `image.delete`.'),
    target: z.string().nullable().describe('The image (UUID) or key that was acted on.'),
    details: z.record(z.string(), z.unknown()),
    position: z
      .int()
      .nullable()
      .describe("Place in the tenant's hash chain; `null` until the entry is sealed, within a second."),
    hash: z
      .string()
      .nullable()
      .describe('SHA-256 of the previous hash in the chain and of this entry; `null` until it is sealed.'),
  })
  .meta({ id: 'AuditEntry' });

const chainSchema = z
  .object({
    tenant: z.string().nullable().describe('`null` for the chain of actions on the whole installation.'),
    tenant_id: z.int().nullable(),
    removed: z.int().describe('Number of entries that were removed after `AUDIT_KEEP_DAYS`.'),
    checked: z.int().describe('Number of intact entries, up to the first damage.'),
    head: z
      .object({ position: z.int(), hash: z.string() })
      .nullable()
      .describe(
        'Position and hash of the last sealed entry. A copy that you keep elsewhere also reveals a chain that was rewritten as a whole.',
      ),
    damage: z
      .object({
        position: z.int().describe('Position of the first entry that was changed or is missing.'),
        id: z.int().nullable().describe('Id of this entry, if it exists.'),
        reason: z.string(),
      })
      .nullable()
      .describe('`null` if the chain is intact.'),
  })
  .meta({ id: 'AuditChain' });

/** Schema of the result of a verification. */
export const verificationSchema = z
  .object({
    chains: z.array(chainSchema),
    unsealed: z
      .object({
        total: z.int(),
        entries: z
          .array(
            z.object({
              id: z.int(),
              at: z.iso.datetime(),
              action: z.string(),
              target: z.string().nullable(),
            }),
          )
          .describe('The oldest ones.'),
      })
      .describe('Entries that are not part of a chain yet. Usually they are less than a second old.'),
    intact: z.boolean().describe('Whether no chain is damaged.'),
  })
  .meta({ id: 'AuditVerification' });
