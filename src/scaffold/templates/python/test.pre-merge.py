    def test_a_subject_is_held_only_by_a_word_in_the_list(self):
        subject = "Draft of a release"
        self.assertEqual(rules_pre_merge.held_by([subject], ["Draft"]), subject)
        self.assertIsNone(rules_pre_merge.held_by([subject], []))
