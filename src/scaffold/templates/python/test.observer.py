    def test_only_the_outcome_is_logged(self):
        text = rules_observer.outcome('{"event": "outcome", "message": "done"}')
        self.assertEqual(text, "the run ended: done")
        self.assertIsNone(rules_observer.outcome('{"event": "note", "text": "hello"}'))
