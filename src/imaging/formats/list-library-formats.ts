import { sharp } from '../decoding/native-library.ts';

// A process of its own runs this module, because importing the library loads native code.
process.stdout.write(JSON.stringify(sharp.format.heif.input.fileSuffix ?? []));
