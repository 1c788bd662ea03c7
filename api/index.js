import { serverless } from '../deploy/vercel/serverless.js';

// Every address of the API comes here.
export default serverless.handle;
