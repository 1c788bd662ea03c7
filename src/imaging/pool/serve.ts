import { writeFileSync } from 'node:fs';
import { AppError } from '../../errors.ts';
import type { Handlers } from './handlers.ts';
import type { ChildMessage, Order, Outcome, TaskMessage, WorkKind } from './messages.ts';

/** Serves the parent's tasks in a decoder child until the parent ends it or goes away. */
export function serve(handlers: Handlers): void {
  // A Ctrl-C reaches the whole process group; the parent drains its work and then ends its children itself.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  // No exit(): it waits for native threads, and one of them may hang.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  process.on('message', (task: TaskMessage) => void perform(handlers, task).then(send));
  offerToMemoryKiller();
  send({ type: 'ready' });
}

async function perform(handlers: Handlers, { id, order }: TaskMessage): Promise<ChildMessage> {
  try {
    return { type: 'done', id, result: await carryOut(handlers, order) };
  } catch (error) {
    return { type: 'failed', id, ...namedFailure(error) };
  }
}

function carryOut<Kind extends WorkKind>(handlers: Handlers, order: Order<Kind>): Promise<Outcome<Kind>> {
  return handlers[order.kind](order.request);
}

function namedFailure(error: unknown): Pick<ChildMessage & { type: 'failed' }, 'code' | 'message' | 'cause'> {
  const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (error instanceof AppError) {
    const { code, message } = error;
    // What the image library said stands in the cause: it is for the log.
    return error.cause instanceof Error ? { code, message, cause: error.cause.message } : { code, message };
  }
  const errno = (error as NodeJS.ErrnoException | undefined)?.code;
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    return {
      code: 'storage_full',
      message: 'The storage is full; the renditions could not be written.',
      cause,
    };
  }
  if (errno !== undefined && /^E[A-Z]+$/.test(errno)) {
    return { code: 'storage_failed', message: `A file could not be read or written (${errno}).`, cause };
  }
  return { code: 'internal_error', message: 'The decoder failed; the log has the details.', cause };
}

function send(message: ChildMessage): void {
  // The parent may be gone by now; 'disconnect' then ends this process.
  process.send?.(message, undefined, undefined, () => undefined);
}

/** On Linux, when memory runs out, the kernel shall take this process, not the server or its database. */
function offerToMemoryKiller(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // Elsewhere there is no such file.
  }
}
