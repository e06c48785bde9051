// Holds an update back while a commit's subject has one of the `hold-words`.

// The first subject that holds the update back.
export function heldBy(subjects, words) {
  return subjects.find((subject) => words.some((word) => subject.includes(word)));
}
