import setUp from '../../support/global-setup.ts';
import { postgresCommands } from './settings.ts';

/** Says before the tests begin which of them are skipped, and how to run them. */
export default function announceFaults(): ReturnType<typeof setUp> {
  if (!postgresCommands.kill || !postgresCommands.start)
    process.stdout.write(
      'SKIPPED: PostgreSQL killed and restarted. To run it: FAULT_POSTGRES_KILL=<command> FAULT_POSTGRES_START=<command>\n',
    );
  return setUp();
}
