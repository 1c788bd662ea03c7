import cliProgress from 'cli-progress';

/** A stream that a command prints to. */
export interface Output {
  write(text: string): void;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Displays the progress of a task. Call `advance` once per finished item. */
export interface ProgressDisplay {
  advance(): void;
  stop(): void;
}

/** Interval between progress lines if the output is not a terminal. */
const lineIntervalMs = 2000;
/** Maximum width of a progress bar, in columns. */
const maxBarWidth = 30;

/**
 * Displays progress towards `total`: as a bar on a terminal, otherwise as a new line every two seconds.
 * @param initial number of items that were already finished; they do not count for the rate
 */
export function startProgress(label: string, total: number, output: Output, initial = 0): ProgressDisplay {
  const startedAt = performance.now();
  const format = (count: number) =>
    formatProgress(label, count, total, (performance.now() - startedAt) / 1000, initial);
  return output.isTTY ? startBar(total, output, format, initial) : startLines(output, format, initial);
}

/** Formats the count, rate and remaining time, for example `Importing 40/100  12.5 images/s  5 s left`. */
export function formatProgress(
  label: string,
  count: number,
  total: number,
  seconds: number,
  initial = 0,
): string {
  const rate = seconds > 0 ? (count - initial) / seconds : 0;
  const remaining = rate > 0 ? `${formatDuration((total - count) / rate)} left` : 'starting';
  return `${label} ${count}/${total}  ${rate.toFixed(1)} images/s  ${count === total ? 'done' : remaining}`;
}

/** Formats a duration, such as `3 min 20 s`. */
export function formatDuration(seconds: number): string {
  const wholeSeconds = Math.ceil(seconds);
  if (wholeSeconds < 60) return `${wholeSeconds} s`;
  if (wholeSeconds < 3600) return `${Math.floor(wholeSeconds / 60)} min ${wholeSeconds % 60} s`;
  return `${Math.floor(wholeSeconds / 3600)} h ${Math.floor((wholeSeconds % 3600) / 60)} min`;
}

/** Formats a number of bytes, such as `1.4 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  return power === 0 ? `${bytes} bytes` : `${(bytes / 1000 ** power).toFixed(1)} ${units[power]}`;
}

function startBar(
  total: number,
  output: Output,
  format: (count: number) => string,
  initial: number,
): ProgressDisplay {
  const bar = new cliProgress.SingleBar(
    {
      // The bar writes only text and escape sequences, which every Output supports.
      stream: output as NodeJS.WritableStream,
      format: (options, { progress, value }) => {
        const line = format(value);
        const width = Math.min(maxBarWidth, (output.columns || 80) - line.length - 3);
        if (width < 5) return line;
        const barsize = Math.floor(width);
        return `${cliProgress.Format.BarFormat(progress, { ...options, barsize })}  ${line}`;
      },
      hideCursor: true,
      // The caller handles interrupts. A handler of the progress bar would conflict with the caller's handler.
      gracefulExit: false,
    },
    cliProgress.Presets.shades_classic,
  );
  bar.start(total, initial);
  return { advance: () => bar.increment(), stop: () => bar.stop() };
}

function startLines(output: Output, format: (count: number) => string, initial: number): ProgressDisplay {
  let count = initial;
  const timer = setInterval(() => output.write(`${format(count)}\n`), lineIntervalMs);
  return {
    advance: () => {
      count += 1;
    },
    stop: () => {
      clearInterval(timer);
      output.write(`${format(count)}\n`);
    },
  };
}
