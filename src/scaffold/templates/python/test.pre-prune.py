    def test_a_reference_is_kept_by_its_beginning(self):
        self.assertTrue(rules_pre_prune.is_kept(["ghcr.io/mailcow/sogo:1.133"], ["ghcr.io/mailcow/sogo"]))
        self.assertFalse(rules_pre_prune.is_kept(["mariadb:10.11"], ["ghcr.io/mailcow/sogo"]))
