// Entry module of a decoder child. Only decoder children load native decoders.
import { handlers, serve } from './serve.ts';

serve(handlers);
