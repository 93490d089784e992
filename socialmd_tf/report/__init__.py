"""Findings of an evaluation as files: tables, charts, pictures and one HTML page.

write.py writes them all; markdown_tables.py and html_tables.py are the tables, charts.py (plotly) and plots.py
(matplotlib) the figures, player.py the animation of rollouts. Knows nothing of models. Begin with write.py.
"""
