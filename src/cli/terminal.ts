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

/** Interval between lines if the output is not a terminal. */
const lineIntervalMs = 2000;
/** Maximum width of a progress bar, in columns. */
const maxBarWidth = 30;

/** Displays progress towards `total`, as a bar on a terminal or else as a line every two seconds. */
export function startProgress(label: string, total: number, output: Output): ProgressDisplay {
  const startedAt = performance.now();
  const format = (done: number) => formatProgress(label, done, total, (performance.now() - startedAt) / 1000);
  return output.isTTY ? startBar(total, output, format) : startLines(output, format);
}

/** Formats the count, the rate and the remaining time, for example `Importing 40/100  12.5 images/s  5 s left`. */
export function formatProgress(label: string, done: number, total: number, seconds: number): string {
  const rate = seconds > 0 ? done / seconds : 0;
  const remaining = rate > 0 ? `${formatDuration((total - done) / rate)} left` : 'starting';
  return `${label} ${done}/${total}  ${rate.toFixed(1)} images/s  ${done === total ? 'done' : remaining}`;
}

function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

function startBar(total: number, output: Output, format: (done: number) => string): ProgressDisplay {
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
      // The caller handles interrupts; a second handler would conflict.
      gracefulExit: false,
    },
    cliProgress.Presets.shades_classic,
  );
  bar.start(total, 0);
  return { advance: () => bar.increment(), stop: () => bar.stop() };
}

function startLines(output: Output, format: (done: number) => string): ProgressDisplay {
  let done = 0;
  const timer = setInterval(() => output.write(`${format(done)}\n`), lineIntervalMs);
  return {
    advance: () => {
      done += 1;
    },
    stop: () => {
      clearInterval(timer);
      output.write(`${format(done)}\n`);
    },
  };
}
