import sharp from 'sharp';

// Import this module only in a decoder child process, because a crash in native code kills the whole process.
//
// All loaders are blocked except the in-memory loaders for the accepted formats. A disguised file therefore cannot
// reach the loader for a different format (SVG, PDF, raw memory dumps, the HDR gain map of JPEGs …).
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: [
    'VipsForeignLoadJpegBuffer',
    'VipsForeignLoadPngBuffer',
    'VipsForeignLoadNsgifBuffer',
    'VipsForeignLoadWebpBuffer',
    'VipsForeignLoadHeifBuffer',
    'VipsForeignLoadTiffBuffer',
  ],
});

// The same picture is rarely decoded twice in a row, so an operation cache would only waste memory.
sharp.cache(false);
// One thread per operation is enough, because the pool runs one child per core.
sharp.concurrency(1);

export { sharp };
