import { AppError, familyOf } from '../../errors.ts';
import type { Logger } from '../../model/logger.ts';
import { readResult, WrongAnswer } from './responses.ts';
import type { ChildMessage, Order, Outcome } from './messages.ts';

/** A task that a child is processing. */
export interface TaskHandle {
  /** Rejects with the child's named error, or with `decoder_crashed` if the child does not survive the task. */
  readonly result: Promise<Outcome>;
  /** Ends the task's child; `result` then rejects with `reason`. Does nothing once the task has ended. */
  stop(reason: unknown): void;
}

/** A task, from the perspective of its slot. */
export interface Task extends PromiseWithResolvers<Outcome> {
  readonly id: number;
  readonly order: Order;
  readonly timer: NodeJS.Timeout;
  /** Why the task's child is being killed. */
  verdict?: { readonly reason: unknown };
}

/** Maximum characters of a child's stack in the log. */
const longestCause = 4000;

/**
 * Validates the message that ends `task`; the returned function settles the task with it.
 * @throws {WrongAnswer}
 */
export function settlementOf(
  task: Task | undefined,
  message: Exclude<ChildMessage, { type: 'ready' }>,
  payload: Buffer,
  logger: Logger,
): { readonly task: Task; readonly settle: () => void } {
  if (task === undefined || task.id !== message.id) throw new WrongAnswer('an answer without a request');
  if (message.type === 'done') {
    const outcome = readResult(task.order, message.result, payload);
    return { task, settle: () => task.resolve(outcome) };
  }
  const { code, cause } = message;
  if (cause !== undefined) {
    // Broken pictures are routine; any other error is logged as a warning.
    const level = familyOf(code) === null ? 'warn' : 'info';
    logger[level]({ code, cause: cause.slice(0, longestCause) }, 'A decoder child met an error');
  }
  return { task, settle: () => task.reject(new AppError(code, message.message)) };
}
