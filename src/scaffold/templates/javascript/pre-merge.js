// Postpones an update while a commit's subject contains one of the `hold-words`.

// Returns the first subject that postpones the update.
export function heldBy(subjects, words) {
  return subjects.find((subject) => words.some((word) => subject.includes(word)));
}
