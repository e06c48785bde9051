
test("entries for files and directories match", () => {
  const ours = ["data/conf/sogo/", "a.conf"];
  assert.ok(isOurs("data/conf/sogo/sogo.conf", ours));
  assert.ok(isOurs("a.conf", ours));
  assert.ok(!isOurs("a.conf/b", ours));
});
