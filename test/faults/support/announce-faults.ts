import announceServices from '../../support/announce-services.ts';
import { postgresCommands } from './settings.ts';

/** Says before the tests begin which of them are skipped, and how to run them. */
export default function announceFaults(): void {
  announceServices();
  if (postgresCommands.kill && postgresCommands.start) return;
  process.stdout.write(
    'SKIPPED: PostgreSQL killed and restarted. To run it: FAULT_POSTGRES_KILL=<command> FAULT_POSTGRES_START=<command>\n',
  );
}
