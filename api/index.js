import { serverless } from '../deploy/vercel/serverless.js';

// Handles every URL of the API.
export default serverless.handle;
