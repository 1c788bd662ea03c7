/** Step of the journey at which work failed; kept with the failure. */
export type Stage = 'fetch' | 'inspect' | 'decode' | 'store' | 'record';

const stages = new WeakMap<object, Stage>();

/** Runs `work`; an error that leaves it is remembered as one of `stage`. */
export async function atStage<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error && !stages.has(error)) stages.set(error, stage);
    throw error;
  }
}

/** The stage at which `error` happened; what no stage claims happened while recording. */
export function stageOf(error: unknown): Stage {
  return (error instanceof Error && stages.get(error)) || 'record';
}
