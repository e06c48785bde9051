
export const conflictResolver = {
  resolve(conflict) {
    return { tag: isOurs(conflict.path, settings().ours ?? []) ? "ours" : "pass" };
  },
};
