import { handlers } from '../deploy/vercel/serverless.js';

// Handles all routes of the API.
export default handlers.handle;
