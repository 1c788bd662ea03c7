/** Whether all tests run (`npm run test:all`), and not only those of `npm test`. */
export const isThorough = process.env['TEST_ALL'] === 'true';
