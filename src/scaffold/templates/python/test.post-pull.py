    def test_a_tag_is_found_behind_a_port(self):
        self.assertTrue(rules_post_pull.is_refused("example.org:5000/ofelia", ["latest"]))
        self.assertTrue(rules_post_pull.is_refused("mcuadros/ofelia:latest", ["latest"]))
        self.assertFalse(rules_post_pull.is_refused("mariadb:10.11", ["latest"]))
