/** Whether the tests run with `npm run test:all`, which runs more rounds and cases than `npm test`. */
export const isThorough = process.env['TEST_ALL'] === 'true';
