
export const preMerge = {
  check(update) {
    const subject = heldBy(update.commits.map((commit) => commit.subject), settings()["hold-words"] ?? []);
    return subject === undefined ? { tag: "proceed", val: [] } : { tag: "not-now", val: { reason: subject } };
  },
};
