import { Counter, Gauge, type Metric, type Registry } from 'prom-client';

/** What a request asks of the process. Each class has its own limits under load. */
export type WorkClass = 'upload' | 'import' | 'cold-read' | 'other';

/** The limit because of which a request was refused. */
export type RefusalReason = 'busy' | 'in-flight' | 'queue' | 'event-loop' | 'disk' | 'cold-reads';

/** The current load of the process. */
export interface AdmissionCounts {
  /** Uploads being processed. */
  readonly active: number;
  /** Uploads waiting to be received. */
  readonly waiting: number;
  /** Uploads being received or processed. */
  readonly inFlight: number;
  readonly bytesInFlight: number;
  readonly isOverloaded: boolean;
  /** Admitted requests, by class. */
  readonly admitted: ReadonlyMap<WorkClass, number>;
  /** Refused requests, by class and reason. */
  readonly refused: ReadonlyMap<WorkClass, ReadonlyMap<RefusalReason, number>>;
}

type ReadCounts = () => AdmissionCounts;

/** Registers the metrics of admission control. `read` is called on each scrape. */
export function registerAdmissionMetrics(registry: Registry, read: ReadCounts): void {
  const metrics: Metric[] = [...makeUploadGauges(read), ...makeCounters(read)];
  for (const metric of metrics) registry.registerMetric(metric);
}

function makeUploadGauges(read: ReadCounts): Metric[] {
  const uploads = new Gauge({
    name: 'vitrine_uploads',
    help: 'Uploads that are being processed (active), waiting to be received, or being received or processed (in_flight).',
    labelNames: ['state'],
    registers: [],
    collect() {
      const { active, waiting, inFlight } = read();
      this.set({ state: 'active' }, active);
      this.set({ state: 'waiting' }, waiting);
      this.set({ state: 'in_flight' }, inFlight);
    },
  });
  const bytes = new Gauge({
    name: 'vitrine_upload_bytes_in_flight',
    help: 'Declared size of the uploads that are being received or processed.',
    registers: [],
    collect() {
      this.set(read().bytesInFlight);
    },
  });
  const overloaded = new Gauge({
    name: 'vitrine_overloaded',
    help: 'Whether more uploads arrive than this process can process.',
    registers: [],
    collect() {
      this.set(Number(read().isOverloaded));
    },
  });
  return [uploads, bytes, overloaded];
}

function makeCounters(read: ReadCounts): Metric[] {
  const admitted = new Counter({
    name: 'vitrine_requests_admitted_total',
    help: 'Requests that were admitted, by class of work.',
    labelNames: ['work'],
    registers: [],
    collect() {
      this.reset();
      for (const [work, count] of read().admitted) this.inc({ work }, count);
    },
  });
  const refused = new Counter({
    name: 'vitrine_requests_refused_total',
    help: 'Requests that were refused because the process is overloaded, by class of work and exceeded limit.',
    labelNames: ['work', 'reason'],
    registers: [],
    collect() {
      this.reset();
      for (const [work, counts] of read().refused)
        for (const [reason, count] of counts) this.inc({ work, reason }, count);
    },
  });
  return [admitted, refused];
}
