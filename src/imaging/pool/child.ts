// Entry of a decoder child: the only process that loads native decoders.
import { handlers } from './handlers.ts';
import { serve } from './serve.ts';

serve(handlers);
