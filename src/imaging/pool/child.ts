// Entry module of a decoder child: the only process that loads native decoders.
import { handlers, serve } from './serve.ts';

serve(handlers);
