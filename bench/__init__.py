"""Rates of the product beside peers that do less, as ratios taken in one run on one machine."""
