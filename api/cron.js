import { serverless } from '../deploy/vercel/serverless.js';

// Called on the schedule in vercel.json.
export default (request, response) => serverless.cron(request, response);
