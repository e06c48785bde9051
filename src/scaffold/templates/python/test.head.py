"""Tests of the rules: `python -m unittest`. To test the whole plugin: `cowhand plugin test`."""

import unittest

{{imports}}

class Rules(unittest.TestCase):
