import { serverless } from '../deploy/vercel/serverless.js';

// Called by the cron schedule in vercel.json.
export default serverless.cron;
