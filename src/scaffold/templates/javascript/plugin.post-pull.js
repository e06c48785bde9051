
export const postPull = {
  check(pulled) {
    const refuse = settings().refuse ?? [];
    const refused = pulled.images.find((image) => isRefused(image.reference, refuse));
    if (refused === undefined) return { tag: "proceed", val: [] };
    return { tag: "stop", val: `${refused.reference} has a refused tag` };
  },
};
