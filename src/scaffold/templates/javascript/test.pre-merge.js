
test("a word holds and no word does not", () => {
  assert.equal(heldBy(["Draft of a release"], ["Draft"]), "Draft of a release");
  assert.equal(heldBy(["Draft of a release"], []), undefined);
});
