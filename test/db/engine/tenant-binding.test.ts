import { openDatabase, usesOrdinaryUser } from '../../support/inner/database.ts';
import { testTenantIsolation } from '../../support/inner/tenant-isolation-contract.ts';

// Otherwise, the database is opened as a superuser, whom row-level security does not restrict.
await testTenantIsolation(await openDatabase(), usesOrdinaryUser ? 'user' : 'role');
