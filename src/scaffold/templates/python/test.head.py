"""The rules, on this machine: `python -m unittest`. The whole plugin: `cowhand plugin test`."""

import unittest

{{imports}}

class Rules(unittest.TestCase):
