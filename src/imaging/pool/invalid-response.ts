import type { z } from 'zod';
import { maxErrorLength } from './messages.ts';

/** Thrown for an invalid message from a child. A child that sends such a message is no longer trusted. */
export class InvalidResponse extends Error {
  override readonly name = 'InvalidResponse';
}

/** Parses a value from a child. @throws {InvalidResponse} */
export function parse<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  subject: string,
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InvalidResponse(
    `Invalid ${subject}: ${issue?.path.join('.')} ${issue?.message}`.slice(0, maxErrorLength),
  );
}

/** Throws `InvalidResponse` unless the condition is met. */
export function assertValid(isValid: boolean, problem: string): asserts isValid {
  if (!isValid) throw new InvalidResponse(problem);
}
