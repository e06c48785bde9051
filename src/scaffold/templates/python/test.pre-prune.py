    def test_references_match_by_prefix(self):
        keep = ["ghcr.io/mailcow/sogo"]
        self.assertTrue(rules_pre_prune.is_kept(["ghcr.io/mailcow/sogo:1.133"], keep))
        self.assertFalse(rules_pre_prune.is_kept(["mariadb:10.11"], keep))
