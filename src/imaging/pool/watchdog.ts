/** Looks after busy children while at least one request holds it. */
export interface Watchdog {
  hold(): void;
  release(): void;
}

const periodMs = 100;

/**
 * Calls `check` every 100 ms while it is held. Its timer also keeps the parent process alive exactly that long: the
 * children themselves do not, so that a finished program ends without closing anything.
 */
export function makeWatchdog(check: () => void): Watchdog {
  let holders = 0;
  let timer: NodeJS.Timeout | undefined;
  return {
    hold() {
      holders++;
      timer ??= setInterval(check, periodMs);
    },
    release() {
      holders--;
      if (holders > 0) return;
      clearInterval(timer);
      timer = undefined;
    },
  };
}
