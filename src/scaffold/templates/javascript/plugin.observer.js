
export const observer = {
  event(json) {
    settings();
    const text = outcome(json);
    if (text !== undefined) write("info", text);
  },
};
