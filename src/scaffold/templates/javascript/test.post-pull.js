
test("a port is not taken for a tag", () => {
  assert.ok(isRefused("example.org:5000/ofelia", ["latest"]));
  assert.ok(isRefused("mcuadros/ofelia:latest", ["latest"]));
  assert.ok(!isRefused("mariadb:10.11", ["latest"]));
});
