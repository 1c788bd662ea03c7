import { serverless } from '../deploy/vercel/serverless.js';

// The timetable of vercel.json comes here.
export default serverless.cron;
