/** Style of the reference page. Its hash is in the page's policy, so the page can have no other. */
export const referenceStyle = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: light-dark(#0b57a4, #8ec5ff); }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; display: grid; grid-template-columns: 20rem minmax(0, 1fr); }
a { color: var(--accent); }
a:focus-visible, summary:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: 1rem; padding: .5rem 1rem; background: Canvas; z-index: 1; }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1.5rem; border-right: 1px solid var(--line); font-size: .875rem; }
nav h2 { font-size: .875rem; margin: 1rem 0 .25rem; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li { margin: .125rem 0; overflow-wrap: anywhere; }
main { padding: 1.5rem 2rem 4rem; max-width: 60rem; }
h1, h2, h3, h4 { line-height: 1.25; }
section.call { border-top: 1px solid var(--line); padding: .5rem 0 1rem; }
section.call h3 { font: 600 1rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; margin-bottom: .25rem; }
h4 { margin: 1rem 0 .25rem; }
code, pre { font: .875em/1.4 ui-monospace, monospace; }
code { background: var(--soft); padding: 0 .2em; border-radius: 3px; }
pre { background: var(--soft); padding: .75rem; overflow: auto; }
.method { display: inline-block; min-width: 4.5em; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
.quiet { opacity: .75; }
details { margin: .25rem 0 .25rem .5rem; }
summary { cursor: pointer; }
@media (max-width: 50rem) { body { display: block; } nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line); } main { padding: 1rem; } }
@media print { nav { display: none; } body { display: block; } }
`;
