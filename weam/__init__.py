"""WEAM: word-exchange aligning pre-training (Yang et al. 2021, arXiv 2106.01732), as a reproducible pipeline."""

__version__ = "0.1.0"
