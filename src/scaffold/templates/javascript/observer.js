// Logs how a run ended. Replace it with your own notification.

// Returns the end of the run in words; undefined for other events.
export function outcome(json) {
  const event = JSON.parse(json);
  return event.event === "outcome" ? `the run ended: ${event.message}` : undefined;
}
