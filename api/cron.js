import { handlers } from '../deploy/vercel/serverless.js';

// Called on the cron schedule in vercel.json.
export default (request, response) => handlers.cron(request, response);
