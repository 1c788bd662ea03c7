import { serverless } from '../deploy/vercel/serverless.js';

// Handles all paths of the API.
export default serverless.handle;
