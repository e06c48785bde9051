
test("a subject is held only by a word in the list", () => {
  assert.equal(heldBy(["Draft of a release"], ["Draft"]), "Draft of a release");
  assert.equal(heldBy(["Draft of a release"], []), undefined);
});
