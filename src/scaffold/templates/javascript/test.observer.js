
test("only the outcome is logged", () => {
  assert.equal(outcome('{"event": "outcome", "message": "done"}'), "the run ended: done");
  assert.equal(outcome('{"event": "note", "text": "hello"}'), undefined);
});
