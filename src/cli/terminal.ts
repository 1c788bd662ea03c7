import cliProgress from 'cli-progress';

/** A stream that a command prints to. */
export interface Output {
  write(text: string): void;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** A progress display. */
export interface Progress {
  advance(): void;
  stop(): void;
}

const lineIntervalMs = 2000;
const maxBarWidth = 30;

/** Shows progress towards `total`: as a bar on a terminal, else as a line every two seconds. */
export function startProgress(label: string, total: number, output: Output): Progress {
  const startedAt = performance.now();
  const text = (done: number) => progressText(label, done, total, (performance.now() - startedAt) / 1000);
  return output.isTTY ? startBar(total, output, text) : startLines(output, text);
}

/** Formats count, rate and remaining time, e.g. `Importing 40/100  12.5 images/s  5 s left`. */
export function progressText(label: string, done: number, total: number, seconds: number): string {
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

function startBar(total: number, output: Output, text: (done: number) => string): Progress {
  const bar = new cliProgress.SingleBar(
    {
      // The bar only writes text and escape sequences, which every Output supports.
      stream: output as NodeJS.WritableStream,
      format: (options, { progress, value }) => {
        const line = text(value);
        const width = Math.min(maxBarWidth, (output.columns || 80) - line.length - 3);
        if (width < 5) return line;
        const barsize = Math.floor(width);
        return `${cliProgress.Format.BarFormat(progress, { ...options, barsize })}  ${line}`;
      },
      hideCursor: true,
      // The caller handles interrupts. Two handlers would conflict.
      gracefulExit: false,
    },
    cliProgress.Presets.shades_classic,
  );
  bar.start(total, 0);
  return { advance: () => bar.increment(), stop: () => bar.stop() };
}

function startLines(output: Output, text: (done: number) => string): Progress {
  let done = 0;
  const timer = setInterval(() => output.write(`${text(done)}\n`), lineIntervalMs);
  return {
    advance: () => {
      done += 1;
    },
    stop: () => {
      clearInterval(timer);
      output.write(`${text(done)}\n`);
    },
  };
}
