    def test_the_outcome_is_told_and_nothing_else(self):
        self.assertEqual(rules_observer.outcome('{"event": "outcome", "message": "done"}'), "the run ended: done")
        self.assertIsNone(rules_observer.outcome('{"event": "note", "text": "hello"}'))
