import sharp from 'sharp';

// Only for code that runs in a decoder child: a crash in native code takes its whole process down.
//
// Every loader is blocked, then those of the taken formats are opened, for bytes in memory only: formats that are
// never decoded (SVG, PDF, raw memory dumps, the HDR gain map of JPEGs …) cannot be reached by a file that pretends.
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

// No picture comes twice in a row: a cache of operations would only hold memory.
sharp.cache(false);
// One thread for each operation: the pool runs one child for each core.
sharp.concurrency(1);

export { sharp };
