
test("the outcome is told and nothing else", () => {
  assert.equal(outcome('{"event": "outcome", "message": "done"}'), "the run ended: done");
  assert.equal(outcome('{"event": "note", "text": "hello"}'), undefined);
});
