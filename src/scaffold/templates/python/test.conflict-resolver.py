    def test_entries_for_files_and_directories_match(self):
        ours = ["data/conf/sogo/", "a.conf"]
        self.assertTrue(rules_conflict_resolver.is_ours("data/conf/sogo/sogo.conf", ours))
        self.assertTrue(rules_conflict_resolver.is_ours("a.conf", ours))
        self.assertFalse(rules_conflict_resolver.is_ours("a.conf/b", ours))
