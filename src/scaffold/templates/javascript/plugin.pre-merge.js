
export const preMerge = {
  check(update) {
    const subjects = update.commits.map((commit) => commit.subject);
    const subject = heldBy(subjects, settings()["hold-words"] ?? []);
    if (subject === undefined) return { tag: "proceed", val: [] };
    return { tag: "not-now", val: { reason: subject } };
  },
};
