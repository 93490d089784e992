"""Turn the findings of an evaluation into files: report.md, report.html, paths.png and metrics.json.

`tables.py` describes every table once; `markdown_page.py` and `html_tables.py` render them. `charts.py` (plotly) and
`plots.py` (matplotlib) draw the figures, `animation.py` (matplotlib) draws GIFs of rollouts, `player.py` prepares the
player of the page. The report knows nothing of models. Start with `write.py`.
"""
