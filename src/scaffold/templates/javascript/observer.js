// Says in the log how a run ended. Replace it by what shall be told to whom.

// The end of the run in words; undefined for other events.
export function outcome(json) {
  const event = JSON.parse(json);
  return event.event === "outcome" ? `the run ended: ${event.message}` : undefined;
}
