    def test_a_port_is_not_taken_for_a_tag(self):
        self.assertTrue(rules_post_pull.is_refused("example.org:5000/ofelia", ["latest"]))
        self.assertTrue(rules_post_pull.is_refused("mcuadros/ofelia:latest", ["latest"]))
        self.assertFalse(rules_post_pull.is_refused("mariadb:10.11", ["latest"]))
