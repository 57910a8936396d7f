/** How the page looks: one sheet, light and dark, from 320 pixels up. */
export const STYLE = `
:root{color-scheme:light dark;--ground:#f6f7f9;--card:#fff;--ink:#14181f;--soft:#5a6472;--line:#e2e6eb;--land:#dfe4ea;--link:#0b5cad;
--s1:#b9d7f2;--s2:#86b9e6;--s3:#4f97d6;--s4:#2273b9;--s5:#0d4f8b;--a:#1a6fbf;--b:#c2571a;--c:#3f8f4f;--band:#1a6fbf26}
@media (prefers-color-scheme:dark){:root{--ground:#0e1218;--card:#171c24;--ink:#e8ecf1;--soft:#9aa6b4;--line:#2a323d;--land:#2a323d;--link:#7db8f0;
--s1:#1f4569;--s2:#27608f;--s3:#3580b8;--s4:#5ba3db;--s5:#9accf5;--a:#5ba3db;--b:#e69155;--c:#74c285;--band:#5ba3db30}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
a{color:var(--link);text-decoration-thickness:1px;text-underline-offset:3px}
a:focus-visible,summary:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:4px}
.skip{position:absolute;left:-9999px}.skip:focus{left:16px;top:8px;background:var(--card);padding:8px 12px;z-index:1}
header,main,footer{max-width:1120px;margin:0 auto;padding:0 16px}
header{padding-top:28px;padding-bottom:8px;display:flex;flex-wrap:wrap;gap:4px 24px;align-items:baseline;justify-content:space-between}
h1{font-size:26px;line-height:1.2;margin:0;letter-spacing:-.01em}h2{font-size:17px;margin:0}
.lead{color:var(--soft);margin:2px 0 0;max-width:46em}.state{font-size:14px;color:var(--soft);margin:0}
.dot{display:inline-block;width:9px;height:9px;border-radius:50%;background:var(--c);margin-right:6px}.dot.late{background:var(--b)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(148px,1fr));gap:12px;margin:20px 0 12px;padding:0;list-style:none}
.tiles li,.card{background:var(--card);border:1px solid var(--line);border-radius:12px}
.tiles a{display:block;padding:12px 14px;color:inherit;text-decoration:none;border-radius:12px;height:100%}.tiles a:hover{background:var(--ground)}
.tiles b{display:block;font-size:23px;line-height:1.25;font-weight:650;font-variant-numeric:tabular-nums}
.tiles span{font-size:14px;color:var(--soft)}
.grid2{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:12px}
.card{padding:14px 16px 12px;margin:0 0 12px;min-width:0}.grid2 .card{margin:0}.grid2{margin-bottom:12px}
.top{display:flex;flex-wrap:wrap;gap:4px 16px;justify-content:space-between;align-items:baseline;margin-bottom:8px}
.source{font-size:13px;white-space:nowrap}
nav.range{display:flex;gap:4px;margin:20px 0 12px;align-items:center;font-size:14px;flex-wrap:wrap}
nav.range span{color:var(--soft);margin-right:6px}
nav.range a{padding:4px 12px;border-radius:999px;border:1px solid var(--line);background:var(--card);text-decoration:none}
nav.range a[aria-current]{background:var(--link);border-color:var(--link);color:var(--card);font-weight:600}
svg{display:block;width:100%;height:auto}
.world a{cursor:pointer}.world .empty{fill:var(--land)}.world a path,.world a circle{stroke:var(--card);stroke-width:.7}
.world a:hover path,.world a:hover circle,.world a:focus-visible path{stroke:var(--ink);stroke-width:2}
.shade1{fill:var(--s1)}.shade2{fill:var(--s2)}.shade3{fill:var(--s3)}.shade4{fill:var(--s4)}.shade5{fill:var(--s5)}
.chart text{font-size:11px;fill:var(--soft);font-variant-numeric:tabular-nums}.chart .grid{stroke:var(--line);stroke-width:1}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.line.a{stroke:var(--a)}.line.b{stroke:var(--b)}.line.c{stroke:var(--c)}
.chart path.band{fill:var(--band)}rect.a,.alone.a{fill:var(--a)}rect.b,.alone.b{fill:var(--b)}rect.c,.alone.c{fill:var(--c)}
.spot{fill:transparent}.spot:hover{fill:var(--ink);opacity:.35}
.keys{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:13px;color:var(--soft);min-height:20px}
.key::before{content:"";display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:6px;vertical-align:-1px}
.key.a::before{background:var(--a)}.key.b::before{background:var(--b)}.key.c::before{background:var(--c)}.key.band::before{background:var(--band)}
.scroll{overflow-x:auto;margin:0 -16px;padding:0 16px}
table{border-collapse:collapse;width:100%;font-size:14px}
th{font-weight:500;color:var(--soft);text-align:left}th,td{padding:6px 14px 6px 0;border-bottom:1px solid var(--line);white-space:nowrap}
tr:last-child td{border-bottom:0}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}td:last-child,th:last-child{padding-right:0}
.bar{width:80px;fill:var(--s4)}
code{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.nothing{color:var(--soft);font-size:14px;margin:8px 0}
@media (max-width:560px){.wide,nav.range span{display:none}th,td{padding-right:10px}header{padding-top:18px}}
footer{padding-top:8px;padding-bottom:36px;color:var(--soft);font-size:14px}
`
