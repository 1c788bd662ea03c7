import setUp from '../../support/global-setup.ts';
import { postgresCommands } from './settings.ts';

/** Prints which tests are skipped and how to run them. */
export default function announceFaults(): ReturnType<typeof setUp> {
  if (!postgresCommands.kill || !postgresCommands.start)
    process.stdout.write(
      'SKIPPED: tests that kill and restart PostgreSQL. To run them, set FAULT_POSTGRES_KILL=<command> FAULT_POSTGRES_START=<command>\n',
    );
  return setUp();
}
