
export const prePrune = {
  choose(candidates) {
    const keep = settings().keep ?? [];
    const kept = candidates.items.filter((item) => isKept(item.references, keep));
    return kept.map((item) => ({ id: item.id, reason: "matches `keep`" }));
  },
};
