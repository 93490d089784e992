"""Command lines: the flags of a configuration class, its help page, and how flags become a configuration.

parse.py does the last and is what commands call; flags.py finds the flags of a dataclass, help_page.py lays them out.
Begin with parse.py. How a command starts and ends is in socialmd_tf/commands.py.
"""
