/** Actions that wait for their time. They keep no process alive: polling finds what they would have announced. */
export interface Delays {
  /** Now when there is nothing to wait for. */
  run(action: () => void, delayMs: number): void;
  clear(): void;
}

/** @see Delays */
export function makeDelays(): Delays {
  const timers = new Set<NodeJS.Timeout>();
  return {
    run(action, delayMs) {
      if (delayMs <= 0) return action();
      const timer = setTimeout(() => {
        timers.delete(timer);
        action();
      }, delayMs);
      timers.add(timer.unref());
    },
    clear() {
      timers.forEach(clearTimeout);
      timers.clear();
    },
  };
}
