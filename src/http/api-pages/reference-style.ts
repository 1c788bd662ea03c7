/** Style sheet of the reference page. The page's content security policy contains the hash of this text. */
export const referenceStyle = `
:root {
  color-scheme: light dark;
  --text: light-dark(#1b2430, #e3e8ee); --muted: light-dark(#566273, #a3afbd); --page: light-dark(#fff, #12171d);
  --panel: light-dark(#f5f7f9, #1a2129); --line: light-dark(#dbe1e8, #303a45); --accent: light-dark(#0b57a4, #8ec5ff);
  --get: light-dark(#0b57a4, #8ec5ff); --post: light-dark(#146c2e, #7fd694); --put: light-dark(#8a4b00, #f0b25c); --delete: light-dark(#b3261e, #ff9d94);
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, monospace;
}
* { box-sizing: border-box; }
html { scroll-padding-top: 4.5rem; }
body { margin: 0; font: 1rem/1.55 system-ui, sans-serif; color: var(--text); background: var(--page); display: grid; grid-template: auto 1fr / 21rem minmax(0, 1fr); }
a { color: var(--accent); text-underline-offset: .2em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
main:focus { outline: 0; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: .75rem; padding: .4rem 1rem; background: var(--page); z-index: 2; }
header { grid-column: 1 / -1; position: sticky; top: 0; z-index: 1; height: 3.75rem; padding: 0 1.5rem; display: flex; align-items: center; justify-content: space-between; gap: 1rem; background: var(--page); border-bottom: 1px solid var(--line); }
header ul { display: flex; gap: 1.5rem; list-style: none; margin: 0; padding: 0; font-size: .9375rem; }
.brand { display: flex; align-items: center; gap: .625rem; font-size: 1.25rem; font-weight: 650; letter-spacing: -.01em; color: var(--text); text-decoration: none; }
.icon { display: block; }
nav { position: sticky; top: 3.75rem; height: calc(100vh - 3.75rem); overflow: auto; padding: 1rem 1rem 2rem 1.5rem; border-right: 1px solid var(--line); background: var(--panel); font-size: .8125rem; line-height: 1.4; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li a { display: grid; grid-template-columns: 3.5rem minmax(0, 1fr); padding: .2rem 0; color: var(--text); font-family: var(--mono); text-decoration: none; overflow-wrap: anywhere; }
nav li a:hover { text-decoration: underline; }
.group { margin: 1.25rem 0 .375rem; font-size: .875rem; font-weight: 650; }
.group:first-child { margin-top: 0; }
.group a { color: var(--text); text-decoration: none; }
.group a:hover { text-decoration: underline; }
main { padding: 2rem 2.5rem 5rem; max-width: 62rem; }
h1, h2, h3, h4 { line-height: 1.25; margin: 0; }
h1 { font-size: 2rem; letter-spacing: -.02em; }
.version { font-size: 1rem; font-weight: 400; letter-spacing: 0; color: var(--muted); }
h2 { font-size: 1.5rem; letter-spacing: -.01em; margin-top: 3.5rem; }
h2 + p { margin-top: .375rem; color: var(--muted); }
p { margin: .625rem 0; }
.endpoint { margin-top: 1.5rem; padding: 1.25rem 1.5rem 1.5rem; border: 1px solid var(--line); border-radius: 10px; }
.endpoint:target { border-color: var(--accent); }
h3 { font: 600 1rem/1.4 var(--mono); overflow-wrap: anywhere; }
h3 a { color: var(--text); text-decoration: none; }
h3 a:hover { text-decoration: underline; }
h4, .label { margin: 1.5rem 0 .375rem; font-size: .8125rem; font-weight: 650; color: var(--muted); text-transform: uppercase; letter-spacing: .05em; }
.summary { font-weight: 600; font-size: 1.0625rem; }
.method { color: var(--hue, var(--get)); font-weight: 700; }
h3 .method { display: inline-block; margin-right: .5rem; padding: 0 .5rem; border: 1px solid var(--hue, var(--get)); border-radius: 5px; font-size: .8125rem; line-height: 1.6; }
.post { --hue: var(--post); } .put { --hue: var(--put); } .delete { --hue: var(--delete); }
code, pre { font: .875em/1.5 var(--mono); }
code { background: var(--panel); padding: .1em .3em; border-radius: 4px; overflow-wrap: anywhere; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: .875rem 1rem; overflow: auto; max-height: 24rem; margin: 0; }
pre code { background: none; padding: 0; overflow-wrap: normal; }
dl { margin: 0; font-size: .9375rem; }
dl > div { display: grid; gap: .125rem 1.5rem; padding: .625rem 0; border-top: 1px solid var(--line); }
dl > div:first-child { border-top: 0; }
dt, dd { margin: 0; min-width: 0; }
dd:empty { display: none; }
.fields > div { grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); }
.fields dt > code { font-weight: 650; background: none; padding: 0; }
.type { display: block; font-size: .875em; color: var(--muted); overflow-wrap: anywhere; }
.note { display: block; font-size: .875em; color: var(--muted); font-style: italic; }
.responses > div { grid-template-columns: 3rem minmax(0, 1fr); }
.status { font: 700 .9375rem/1.65 var(--mono); white-space: nowrap; }
.errors { list-style: none; margin: 0; padding: 0; }
.errors li + li { margin-top: .25rem; }
.success { color: var(--post); } .failure { color: var(--delete); }
details { margin-top: .375rem; }
summary { cursor: pointer; color: var(--muted); width: fit-content; max-width: 100%; }
details > dl, details > p:not(.label) { padding-left: .875rem; border-left: 2px solid var(--line); margin-top: .375rem; }
details details .fields > div, .responses .fields > div { grid-template-columns: minmax(0, 1fr); }
details > pre { margin-top: .375rem; }
@media (max-width: 64rem) {
  body { display: block; }
  nav { position: static; height: auto; padding: .75rem 1.5rem; border-right: 0; border-bottom: 1px solid var(--line); display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
  nav ul { display: none; }
  .group, .group:first-child { margin: .25rem 0; font-weight: 500; }
  .group a { color: var(--accent); }
  main { padding: 1.5rem 1.5rem 4rem; margin: 0 auto; width: 100%; }
}
@media (max-width: 40rem) {
  header { padding: 0 1rem; }
  header ul { gap: 1rem; font-size: .875rem; }
  nav { padding: .75rem 1rem; }
  main { padding: 1.25rem 1rem 3rem; }
  h1 { font-size: 1.625rem; }
  .endpoint { padding: 1rem; }
  h3 .method { display: table; margin-bottom: .375rem; }
  .fields > div { grid-template-columns: minmax(0, 1fr); }
}
@media print { header, nav { display: none; } body { display: block; } .endpoint { border: 0; padding: 0; } pre { max-height: none; } }
`;
