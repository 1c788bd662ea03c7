/** SVG shapes of a display case with two objects, in a 32 × 32 box. */
const caseShapes =
  '<rect width="32" height="32" rx="7" fill="#0b57a4"/><path d="M7 8.5h18v15H7zM7 19h18" fill="none" stroke="#fff" stroke-width="2" stroke-linejoin="round"/><circle cx="12.5" cy="15" r="2.5" fill="#fff"/><path d="m16.5 17.5 3-5.5 3 5.5z" fill="#fff"/>';

/** The icon as an SVG file. */
export const faviconSvg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${caseShapes}</svg>`;

/** The icon as inline SVG. It is hidden from screen readers, because the product name is next to it. */
export const inlineIcon = `<svg class="icon" viewBox="0 0 32 32" width="32" height="32" aria-hidden="true" focusable="false">${caseShapes}</svg>`;

/** The icon and the product name as an SVG file, with white text for dark backgrounds. */
export const wordmarkSvg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 132 32" width="165" height="40">${caseShapes}<text x="42" y="23" fill="#fff" font-family="system-ui, sans-serif" font-size="20" font-weight="600">Vitrine</text></svg>`;
