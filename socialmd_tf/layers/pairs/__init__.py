"""Sums over pairs of particles within a cutoff.

on_pairs.py evaluates a function on all pairs: all at once, in blocks, or by a list. neighbor_list.py finds that list.
pair_force.py is the learned force between two particles; radial_pulls.py has fixed functions of the distance with
learned coefficients. Begin with on_pairs.py.
"""
