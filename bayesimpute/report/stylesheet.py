"""How the page looks: on a screen by day and by night, and on paper."""

STYLESHEET = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --soft: #57606a;
  --line: #d8dee4; --band: #f6f8fa; --accent: #0072B2; --good: #007a5a; --fair: #8a5a00;
  --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #14181d; --soft: #9aa6b2;
  --line: #353d46; --band: #1d232a; --accent: #63b3e6; --good: #3fc79a; --fair: #e0a94a;
  --bad: #ff8a80; } }
* { box-sizing: border-box; }
html { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  color: var(--ink); background: var(--paper); scroll-behavior: smooth; }
body { margin: 0 auto; padding: 1.5rem 1.5rem 4rem; max-width: 62rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0.5rem 0 0.25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 0.75rem; padding-top: 0.5rem;
  border-top: 2px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 0.5rem; overflow-wrap: anywhere; }
p { margin: 0.5rem 0; max-width: 48rem; overflow-wrap: anywhere; }
a { color: var(--accent); }
.lead { font-size: 1.05rem; }
.note { color: var(--soft); font-size: 0.875rem; }
nav ol { margin: 0.5rem 0; padding: 0; list-style: none; display: flex; flex-wrap: wrap;
  gap: 0.25rem 1.1rem; font-size: 0.95rem; }
.scroll { overflow-x: auto; margin: 0.75rem 0; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: 0.25rem; }
th, td { padding: 0.25rem 0.7rem 0.25rem 0; vertical-align: top;
  border-bottom: 1px solid var(--line); }
td + td, th + td, th + th { padding-left: 0.7rem; }
[style*="right"] { white-space: nowrap; }
thead th { color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--soft);
  vertical-align: bottom; }
tbody th { font-weight: 500; }
tbody tr:hover { background: var(--band); }
.codes td, .codes thead th { text-align: center !important; }
details { margin: 0.5rem 0; border: 1px solid var(--line); border-radius: 6px;
  padding: 0.4rem 0.8rem; }
summary { cursor: pointer; font-weight: 500; overflow-wrap: anywhere; }
pre { overflow-x: auto; background: var(--band); padding: 0.75rem; border-radius: 6px;
  font: 0.8rem/1.45 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; background: #ffffff; border: 1px solid var(--line);
  border-radius: 6px; padding: 0.4rem; display: block; }
figcaption { color: var(--soft); font-size: 0.875rem; margin-top: 0.25rem;
  overflow-wrap: anywhere; }
.findings { list-style: none; margin: 0.5rem 0; padding: 0; }
.findings li { border-left: 3px solid var(--line); padding-left: 1rem; margin: 0.9rem 0; }
.findings code { overflow-wrap: anywhere; white-space: pre-wrap; font-size: 0.85em; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(24rem, 100%), 1fr));
  gap: 0 1.5rem; }
.model { border-left: 3px solid var(--line); padding-left: 1rem; margin: 1.5rem 0; }
.equations { overflow-x: auto; padding: 0.25rem 0; }
.line { padding: 0.2rem 0; white-space: nowrap; }
.line.more { padding-left: 4rem; }
math { font-size: 1.05rem; }
.vector { font-weight: 700; }
.chip { display: inline-block; font-size: 0.78rem; font-weight: 400; color: var(--soft);
  background: var(--band); border: 1px solid var(--line); border-radius: 99px;
  padding: 0.05rem 0.6rem; margin-left: 0.25rem; }
.light::before, .severity::before { display: inline-block; width: 1.2em; }
.light { white-space: nowrap; font-weight: 600; }
.findings .light { margin-right: 0.4rem; }
.good { color: var(--good); } .good::before { content: "●"; }
.fair, .warning { color: var(--fair); } .fair::before, .warning::before { content: "▲"; }
.bad, .error { color: var(--bad); } .bad::before, .error::before { content: "✕"; }
.unknown::before, .info::before { content: "–"; }
footer { margin-top: 3rem; color: var(--soft); font-size: 0.85rem; padding-top: 0.75rem;
  border-top: 1px solid var(--line); }
@page { margin: 18mm 16mm; }
@media print {
  :root { --ink: #000000; --paper: #ffffff; --soft: #444444; --line: #bbbbbb; --band: #f4f4f4;
    --good: #00573f; --fair: #6b4500; --bad: #8c1d16; --accent: #000000; color-scheme: light; }
  html { font-size: 10pt; }
  body { max-width: none; padding: 0; }
  nav a { text-decoration: none; }
  h2, h3, summary, caption { break-after: avoid; }
  figure, .model, tr, .chip { break-inside: avoid; }
  thead { display: table-header-group; }
  .scroll, .equations, pre { overflow: visible; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  table { font-size: 7.5pt; } th, td { padding: 0.15rem 0.35rem 0.15rem 0; }
  td + td, th + td, th + th { padding-left: 0.35rem; }
  details { border: none; padding: 0; }
  details::details-content { content-visibility: visible; display: block; block-size: auto; }
  .findings { list-style: none; margin: 0.5rem 0; padding: 0; }
.findings li { border-left: 3px solid var(--line); padding-left: 1rem; margin: 0.9rem 0; }
.findings code { overflow-wrap: anywhere; white-space: pre-wrap; font-size: 0.85em; }
.gallery { grid-template-columns: 1fr 1fr; }
  figure img { border: none; padding: 0; }
  tbody tr:hover { background: none; }
  footer { margin-top: 1rem; break-before: avoid; }
}
"""
