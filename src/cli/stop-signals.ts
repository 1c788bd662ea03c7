/**
 * Signals within this time after the first are ignored, because npm forwards a Ctrl-C that the terminal has already
 * sent to this process.
 */
const duplicateSignalMs = 1_000;

/**
 * Resolves with the first SIGTERM or SIGINT. If a second signal arrives more than a second later, the process exits
 * immediately, because a user who presses Ctrl-C again does not want to wait.
 */
export function waitForStopSignal(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let firstSignalAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    firstSignalAt ??= performance.now();
    if (performance.now() - firstSignalAt > duplicateSignalMs) process.exit(130);
    resolve(signal);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return promise;
}

/** Returns an abort signal that the first SIGINT or SIGTERM aborts. @see waitForStopSignal for further signals */
export function abortOnInterrupt(): AbortSignal {
  const controller = new AbortController();
  void waitForStopSignal().then((signal) => controller.abort(signal));
  return controller.signal;
}

/** Exits after a failure from which only a restart can recover. */
export function exitOnFailure(): void {
  process.exit(1);
}
