
test("references match by prefix", () => {
  assert.ok(isKept(["ghcr.io/mailcow/sogo:1.133"], ["ghcr.io/mailcow/sogo"]));
  assert.ok(!isKept(["mariadb:10.11"], ["ghcr.io/mailcow/sogo"]));
});
