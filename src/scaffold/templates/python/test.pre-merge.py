    def test_a_word_holds_and_no_word_does_not(self):
        self.assertEqual(rules_pre_merge.held_by(["Draft of a release"], ["Draft"]), "Draft of a release")
        self.assertIsNone(rules_pre_merge.held_by(["Draft of a release"], []))
