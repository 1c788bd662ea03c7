import type { FastifySwaggerUiOptions } from '@fastify/swagger-ui';
import { faviconSvg, wordmarkSvg } from './brand.ts';

/** Makes Swagger UI look like the reference page. Swagger UI sets the class `dark-mode` in the dark colour scheme. */
const css = `
body { background: #fff; }
html.dark-mode, html.dark-mode body { background: #12171d; }
.swagger-ui .topbar, html.dark-mode .swagger-ui .topbar { background: #12202f; padding: .625rem 0; }
.swagger-ui .topbar .topbar-wrapper { flex-direction: row; align-items: center; justify-content: space-between; }
.swagger-ui .topbar a { flex: none; max-width: none; }
.swagger-ui .topbar .download-url-wrapper { display: none; }
.swagger-ui .info { margin: 2rem 0; }
html:not(.dark-mode) .swagger-ui .info a { color: #0b57a4; }
html:not(.dark-mode) .swagger-ui .info .title small { background: #566273; }
html:not(.dark-mode) .swagger-ui .info .title small.version-stamp { background: #146c2e; }
html:not(.dark-mode) .swagger-ui .opblock-get .opblock-summary-method { background: #0b57a4; }
html:not(.dark-mode) .swagger-ui .opblock-post .opblock-summary-method { background: #146c2e; }
html:not(.dark-mode) .swagger-ui .opblock-put .opblock-summary-method { background: #8a4b00; }
html:not(.dark-mode) .swagger-ui .opblock-delete .opblock-summary-method { background: #b3261e; }
.swagger-ui :focus-visible { outline: 3px solid #0b57a4; outline-offset: 2px; }
.swagger-ui .topbar :focus-visible, html.dark-mode .swagger-ui :focus-visible { outline-color: #8ec5ff; }
.swagger-ui .microlight [style*='211, 99, 99'] { color: #ff9d94 !important; }
.swagger-ui .opblock .btn.cancel { color: #b3261e; border-color: #b3261e; }
html.dark-mode .swagger-ui .opblock .opblock-section-header .try-out__btn.cancel { color: #ff9d94; border-color: #ff9d94; }
html:not(.dark-mode) .swagger-ui .btn.execute { background: #0b57a4; border-color: #0b57a4; color: #fff; }
html:not(.dark-mode) .swagger-ui .btn.authorize { color: #146c2e; border-color: #146c2e; }
html:not(.dark-mode) .swagger-ui .btn.authorize svg { fill: #146c2e; }
html:not(.dark-mode) .swagger-ui .parameter__in { color: #566273; }
html:not(.dark-mode) .swagger-ui .parameter__name.required span, html:not(.dark-mode) .swagger-ui .parameter__name.required::after { color: #b3261e; }
html:not(.dark-mode) .json-schema-2020-12-expand-deep-button { color: #566273; }
@media (max-width: 40rem) {
  .swagger-ui .wrapper { padding: 0 1rem; }
  .swagger-ui .opblock .opblock-section-header { flex-wrap: wrap; gap: .5rem; padding: .5rem 1rem; }
  .swagger-ui .try-out { padding: 0; }
  .swagger-ui .try-out .btn { padding: .25rem 1rem; margin-left: .5rem; }
  .swagger-ui .opblock .opblock-summary-path { max-width: none; overflow-wrap: anywhere; }
  .swagger-ui table { display: block; overflow-x: auto; }
}
`;

/** Adds a viewport `meta` tag. Also gives the logo alternative text and links it to the reference page. */
const script = `
const viewport = document.createElement('meta');
viewport.name = 'viewport';
viewport.content = 'width=device-width, initial-scale=1';
document.head.append(viewport);
new MutationObserver((_records, observer) => {
  const logo = document.querySelector('.topbar-wrapper a.link img');
  if (!logo) return;
  observer.disconnect();
  logo.alt = 'Vitrine';
  logo.parentElement.href = '/redoc';
}).observe(document.body, { childList: true, subtree: true });
`;

const faviconFile = 'favicon.svg';

/** URL path of the icon, which Swagger UI serves. */
export const faviconPath = `/docs/static/theme/${faviconFile}`;

/** Swagger UI options that show the product's name and icon. */
export const swaggerTheme = {
  logo: { type: 'image/svg+xml', content: wordmarkSvg },
  theme: {
    title: 'Vitrine API',
    css: [{ filename: 'vitrine.css', content: css }],
    js: [{ filename: 'vitrine.js', content: script }],
    favicon: [
      { filename: faviconFile, rel: 'icon', type: 'image/svg+xml', sizes: 'any', content: faviconSvg },
    ],
  },
} satisfies FastifySwaggerUiOptions;
