// Entry module of a decoder child. Only decoder children load native decoders.
import type { ModelDescription } from '../recognition/model/model-description.ts';
import { handlers, makeHandlers, serve } from './serve.ts';

const [modelDescription] = process.argv.slice(2);
if (modelDescription === undefined) serve(handlers);
else {
  // The runtime is native code, so it must be loaded before the child gives up the permission to load any.
  const { openModel } = await import('../recognition/model/model-embedding.ts');
  serve(makeHandlers(await openModel(JSON.parse(modelDescription) as ModelDescription)));
}
