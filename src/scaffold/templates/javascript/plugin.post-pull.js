
export const postPull = {
  check(pulled) {
    const refuse = settings().refuse ?? [];
    const refused = pulled.images.find((image) => isRefused(image.reference, refuse));
    return refused ? { tag: "stop", val: `${refused.reference} is not wanted here` } : { tag: "proceed", val: [] };
  },
};
