    def test_files_and_folders_are_told_apart(self):
        ours = ["data/conf/sogo/", "a.conf"]
        self.assertTrue(rules_conflict_resolver.is_ours("data/conf/sogo/sogo.conf", ours))
        self.assertTrue(rules_conflict_resolver.is_ours("a.conf", ours))
        self.assertFalse(rules_conflict_resolver.is_ours("a.conf/b", ours))
