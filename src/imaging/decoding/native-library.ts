import sharp from 'sharp';

// Only for code that runs in a decoder child: a crash in native code kills the whole process.
//
// Blocks every loader, then enables those of the accepted formats, for bytes in memory only. A disguised file cannot
// reach the loader of a different format (SVG, PDF, raw memory dumps, the HDR gain map of JPEGs …).
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

// The same picture is not decoded twice in a row, so an operation cache would only waste memory.
sharp.cache(false);
// One thread per operation: the pool runs one child per core.
sharp.concurrency(1);

export { sharp };
