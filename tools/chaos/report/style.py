"""How the page of a report looks and what little of it moves; in the dashboard's colours."""

from __future__ import annotations

from typing import Final

__all__ = ["SCRIPT", "STYLE"]

STYLE: Final = """
:root{color-scheme:light dark;--ink:light-dark(#1c2024,#e6e8ea);--soft:light-dark(#5a6169,#9aa2aa);
--paper:light-dark(#fbfbfa,#14171a);--line:light-dark(#dfe2e5,#2c3238);
--link:light-dark(#0b5cad,#7cb7f5);--field:light-dark(#fff,#1a1e22);
--edge:light-dark(#8b939b,#6b747d);--good:light-dark(#1a7340,#6cc48d);
--bad:light-dark(#b3261e,#f2938c);--warn:light-dark(#c98500,#e5b567);
--here:light-dark(#8fa3b8,#5c7086);--shade:light-dark(#1c202414,#e6e8ea1f)}
*{box-sizing:border-box}
body{margin:0 auto;max-width:84rem;padding:1.75rem 1.25rem 4rem;color:var(--ink);
background:var(--paper);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{margin:.125rem 0 .25rem;font-size:2rem;font-weight:600;line-height:1.2;text-wrap:balance}
h2{margin:0 0 .5rem;font-size:1.125rem;font-weight:600}h3{margin:0;font-size:1rem;font-weight:600}
p{margin:0}a{color:inherit;text-decoration-color:var(--edge);text-underline-offset:.2em}
code{font:.9375em ui-monospace,monospace}
.soft{color:var(--soft)}.good{color:var(--good)}.bad{color:var(--bad)}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
section{margin-top:2.25rem;padding-top:1rem;border-top:1px solid var(--line)}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.again{display:flex;gap:.5rem;align-items:start;margin-top:.75rem;font-size:.875rem}
.again span{display:inline-block;max-width:100%}
.again code{min-width:0;padding:.375rem .625rem;border:1px solid var(--line);border-radius:.25rem;
background:var(--field)}
button{min-height:2rem;padding:.125rem .75rem;border:1px solid var(--edge);border-radius:.25rem;
color:var(--ink);background:var(--field);font:inherit;cursor:pointer;white-space:nowrap}
[hidden]{display:none!important}

dl{margin:0}dd{margin:0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(7.5rem,1fr));gap:1rem 1.5rem;
margin-top:1.5rem}
.nought dd,td.nought{color:var(--soft)}
.tiles div,.figures div{display:flex;flex-direction:column-reverse;justify-content:flex-end}
.tiles dt{color:var(--soft);font-size:.8125rem}
.tiles dd{font-size:1.75rem;font-weight:600;line-height:1.2;font-variant-numeric:tabular-nums}
.about{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));
gap:.125rem 2rem;margin-top:1.25rem;font-size:.875rem}
.about div{display:grid;grid-template-columns:6rem minmax(0,1fr)}.about dt{color:var(--soft)}
.strip{display:flex;flex-wrap:wrap;gap:.25rem;margin:1.5rem 0 0;padding:0;list-style:none;
font-size:.75rem;font-variant-numeric:tabular-nums}
.strip li>*{display:block;min-width:2.875rem;padding:.1875rem .25rem;border:1px solid;
border-radius:.1875rem;text-align:center;text-decoration:none}
.strip .passed{color:var(--good)}
.strip :is(.failed,.broken){color:var(--paper);background:var(--bad);border-color:var(--bad);
font-weight:600}
.strip :is(.not_applicable,.not_injectable){color:var(--soft);border-style:dashed}

.scroll{position:relative;margin-top:.75rem;overflow-x:auto}
table{width:100%;border-collapse:collapse;font-size:.8125rem;font-variant-numeric:tabular-nums}
th,td{padding:.25rem 0 .25rem .625rem;border-bottom:1px solid var(--line);font-weight:400;
text-align:right;vertical-align:top;overflow-wrap:normal}
thead th{color:var(--soft);font-size:.75rem;vertical-align:bottom}
th:first-child{position:sticky;left:0;padding-left:0;background:var(--paper);text-align:left}
tbody th{min-width:8rem;max-width:18rem;overflow-wrap:anywhere}
th.words,td.words{text-align:left}td{white-space:nowrap}
td.words{white-space:normal}thead .system{min-width:9rem}
td.bad,.bad dd{color:var(--bad);font-weight:600}.verdict{white-space:nowrap}

article{margin-top:1rem;padding:1rem 0 1.25rem;border-top:1px solid var(--line)}
article.failed,article.broken{padding-left:.875rem;border-left:.25rem solid var(--bad)}
article header{display:flex;flex-wrap:wrap;gap:0 .75rem;align-items:baseline}
article header .verdict{font-size:.875rem;font-weight:600}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(4.375rem,1fr));gap:.5rem .75rem;
margin-top:.75rem;font-variant-numeric:tabular-nums}
.figures dt{color:var(--soft);font-size:.75rem;line-height:1.3}
.figures dd{font-size:.9375rem}
.violations{margin:.75rem 0 0;padding:0;list-style:none;color:var(--bad);font-size:.875rem}
.below{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;align-items:start;margin-top:.75rem;
font-size:.8125rem}.below .again{margin:0}.below details{flex:1 1 12rem;padding-top:.375rem}
.left-out{margin-top:1.25rem;columns:24rem 3;gap:2rem;font-size:.8125rem}
.left-out div{margin-bottom:.5rem;break-inside:avoid}.left-out dd{color:var(--soft)}
.plain{text-decoration:none}details[open]{flex-basis:100%}
summary{color:var(--soft);cursor:pointer}
details ol{margin:.25rem 0 0;padding-left:1.25rem}

.timeline{display:grid;grid-template-columns:5rem minmax(0,1fr);margin-top:.75rem;font-size:.75rem}
.names{position:relative;color:var(--soft)}
.names span{position:absolute;right:.75rem;transform:translateY(-50%);white-space:nowrap}
.timeline svg{display:block;width:100%;overflow:visible}
svg text{fill:var(--ink);font-size:.75rem}svg text.soft{fill:var(--soft)}
path.here{fill:var(--here)}path.elsewhere{fill:var(--link)}
line{stroke:var(--line)}line.lane{stroke:var(--line)}line.base{stroke:var(--edge)}
line.tick,line.edge{stroke:var(--edge)}line.edge{stroke-dasharray:2 2}
rect.shade,rect.fault{fill:var(--shade)}
rect.breaker{fill:var(--warn)}
rect.membership{fill:url(#stripes);stroke:var(--warn)}rect.stripe{fill:var(--warn)}
rect.down{fill:var(--edge)}rect.paused{fill:var(--paper);stroke:var(--edge);stroke-dasharray:3 2}
.hole line{stroke:var(--edge)}circle{stroke:var(--ink);stroke-width:1.5}
circle.lost{fill:var(--paper)}circle.told{fill:var(--ink)}.never rect{fill:var(--bad)}
.cursor{stroke:var(--link);visibility:hidden}
.read{flex:none;margin-left:auto;font-size:.8125rem;color:var(--soft);font-variant-numeric:tabular-nums}
rect.beyond{fill:var(--ink)}line.ceiling{stroke-dasharray:1 3;stroke:var(--edge)}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin-top:.75rem;font-size:.8125rem}
.legend li{display:flex;gap:.375rem;align-items:center}.legend{padding:0;list-style:none}
.legend svg{width:1.5rem;height:.75rem;overflow:visible}
.meaning{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,24rem),1fr));
gap:.25rem 2rem;font-size:.875rem}
.meaning div{display:grid;grid-template-columns:8rem minmax(0,1fr)}.meaning dt{color:var(--soft)}

@media(min-width:70rem){.figures{grid-template-columns:repeat(15,minmax(0,1fr))}}
@media(max-width:40rem){h1{font-size:1.5rem}
.timeline{grid-template-columns:4.375rem minmax(0,1fr)}
.names span{right:.5rem}.tiles{grid-template-columns:repeat(2,1fr)}.tiles dd{font-size:1.5rem}
td .word{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tbody th{min-width:6rem;max-width:9rem}}
@media print{:root{color-scheme:light;--paper:#fff}*{print-color-adjust:exact}
@page{margin:12mm}
body{max-width:none;padding:0;font-size:10pt}button,details,.read,.figures{display:none}
.below{margin-top:.25rem}
article{margin:0;padding:.625rem 0}section{margin-top:1.25rem}
.again{margin-top:.375rem}.timeline{zoom:.8}

.scroll{overflow:visible}th:first-child{position:static}table{font-size:6.75pt}
thead th{font-size:6pt}
th,td{padding-left:.25rem}.left-out{font-size:7pt;columns:2}
thead{display:table-header-group}tbody th{min-width:3.75rem}
tr,article,.timeline,.tiles div{break-inside:avoid}h2,h3,article header{break-after:avoid}
a{text-decoration:none}}
"""

SCRIPT: Final = """
for (const button of document.querySelectorAll('button[data-copies]')) {
  button.hidden = false;
  button.addEventListener('click', async () => {
    const text = document.getElementById(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(text);
      button.textContent = 'Selected';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
}
for (const drawing of document.querySelectorAll('svg[data-bins]')) {
  const { step, seconds, bins } = drawing.dataset;
  const counts = bins.split(' ').map((pair) => pair.split(',').map(Number));
  const cursor = drawing.querySelector('.cursor');
  const read = drawing.closest('article').querySelector('.read');
  drawing.addEventListener('pointermove', (event) => {
    const box = drawing.getBoundingClientRect();
    const share = Math.min(0.9999, Math.max(0, (event.clientX - box.left) / box.width));
    const bin = Math.min(counts.length - 1, Math.floor(share * seconds / step));
    const [here, elsewhere] = counts[bin];
    for (const end of ['x1', 'x2']) cursor.setAttribute(end, `${share * 100}%`);
    cursor.style.visibility = 'visible';
    read.textContent = `${(share * seconds).toFixed(2)} s: ${here} here and ${elsewhere} elsewhere`
      + ` within ${step} s`;
  });
  drawing.addEventListener('pointerleave', () => {
    cursor.style.visibility = 'hidden';
    read.textContent = '';
  });
}
"""
