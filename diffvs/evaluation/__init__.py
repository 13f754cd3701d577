"""How well something separates: scores, what they are compared with, and how they are shown.

The command is `diffvs.evaluate`.
"""
